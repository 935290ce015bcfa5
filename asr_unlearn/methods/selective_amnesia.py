"""Learn something else for the forget speakers, and hold on to what the rest depends on."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.method import Direction, Method
from asr_unlearn.methods.random_label import foreign_targets, relabelled


@dataclass(kw_only=True)
class SelectiveAmnesia(Method):
    """Selective amnesia (SA; Heng & Soh, arXiv 2305.10120).

    Minimises ℓ of a surrogate target on F + γ·ℓ_R + λ·Σ Fisher·(θ − θ*)², with the retain set's
    diagonal Fisher information at the original model θ*.

    Deviation: the paper forgets in generative models and picks a surrogate distribution; here the
    surrogate is another speaker's transcript, as in random labelling. The paper replays what the
    generative model itself produces; here real retain utterances are replayed. Fisher information
    is the mean of squared per-utterance gradients.

    Attributes:
        gamma: of the replayed retain batch.
        lam: λ, of the penalty.
    """

    name: ClassVar[str] = "selective_amnesia"
    paper: ClassVar[str] = "arXiv 2305.10120"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 2e-4
    clip: float = 1.0
    retain_batch: int = 16
    gamma: float = 30.0
    lam: float = 1000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("0 or more", "gamma", "lam")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "gamma": (3.0, 100.0), "lam": (10.0, 10000.0)}

    def prepare(self, context: TrainingContext) -> None:
        self._targets = foreign_targets(context)
        self._fisher = context.fisher("retain")
        weights = trainable_parameters(context.model)
        self._original = {name: weight.detach().clone() for name, weight in weights.items()}

    def direction(self, step: Step) -> Direction:
        surrogate, _ = step.gradient(relabelled(step.forget, self._targets))
        replay, retain = step.gradient(step.retain)
        gradient = {}
        for name, weight in trainable_parameters(step.model).items():
            pull = 2 * self.lam * self._fisher[name] * (weight.detach() - self._original[name])
            gradient[name] = surrogate[name] + self.gamma * replay[name] + pull
        return Direction(gradient, {"retain": retain})

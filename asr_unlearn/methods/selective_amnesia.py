"""Training on wrong transcripts of the forget set, with an elastic penalty and replay."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import copied, trainable_parameters
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Penalty, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt
from asr_unlearn.methods.random_label import wrong_losses


@dataclass(kw_only=True)
class SelectiveAmnesia(Method):
    """Selective amnesia (SA; Heng & Soh, arXiv 2305.10120).

    Minimises ℓ of a surrogate target on F + γ·ℓ_R + λ·Σ Fisher·(θ − θ*)², with the retain set's
    diagonal Fisher information at the original model θ*.

    Deviation: the paper treats generative models, chooses a surrogate distribution, and replays
    what the model generates. Here the surrogate is another speaker's transcript, as in random
    labelling, and real retain utterances are replayed. Fisher information is the mean of squared
    per-utterance gradients.

    Attributes:
        gamma: γ, of the replayed retain batch.
        lam: λ, of the penalty.
    """

    name: ClassVar[str] = "selective_amnesia"
    paper: ClassVar[str] = "arXiv 2305.10120"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Positive = 2e-4
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    gamma: NonNegative = 30.0
    lam: NonNegative = 1000.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "gamma": (3.0, 100.0), "lam": (10.0, 10000.0)}

    def prepare(self, context: TrainingContext) -> None:
        self._surrogate = wrong_losses(context)
        self._fisher = context.fisher("retain")
        self._original = copied(trainable_parameters(context.model))

    def loss(self, step: Step) -> Loss:
        return [
            Term("forget", losses=self._surrogate, logged=False),
            Term("retain", self.gamma),
            Penalty(self._pull),
        ]

    def _pull(self, name: str, weight: Tensor) -> Tensor:
        """The derivative of λ·Σ Fisher·(θ − θ*)²."""
        return 2 * self.lam * self._fisher[name] * (weight - self._original[name])

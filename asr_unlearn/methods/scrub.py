"""Move away from the original on the forget set, stay with it on the retain set, rewind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.batching import BatchSource
from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.distillation import divergence_from, frozen_copy
from asr_unlearn.methods.method import Direction, Method


@dataclass(kw_only=True)
class SCRUB(Method):
    """SCRUB with rewinding (Kurmanji et al., arXiv 2302.09880).

    Each of the first `max_epochs` epochs begins with a pass over the forget set that maximises
    T²·KL(original ‖ model); every epoch then minimises α·T²·KL(original ‖ model) + γ·ℓ over
    the retain set; an epoch after those is a pass over the retain set alone. The model is measured
    when an epoch ends, and rewound to the end whose forget set is nearest to the unseen speakers.

    Attributes:
        max_epochs: epochs with a maximising pass.
        alpha, gamma: shares of the divergence and of the loss on the retain set.
        temperature: T, softens both distributions.
    """

    name: ClassVar[str] = "scrub"
    paper: ClassVar[str] = "arXiv 2302.09880"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 5e-4
    epochs: float = 4.0
    clip: float = 1.0
    retain_batch: int = 16
    max_epochs: int = 3
    alpha: float = 0.1
    gamma: float = 0.9
    temperature: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("0 or more", "max_epochs", "alpha", "gamma")
        self.demand("above 0", "temperature")

    def steps_per_epoch(self, sources: Mapping[Part, BatchSource]) -> int:
        """Steps of an epoch with a maximising pass."""
        return sources["forget"].steps_per_epoch + sources["retain"].steps_per_epoch

    def steps(self, sources: Mapping[Part, BatchSource]) -> int:
        longer = min(self.epochs, float(self.max_epochs))
        shorter = (self.epochs - longer) * sources["retain"].steps_per_epoch
        return max(1, round(longer * self.steps_per_epoch(sources) + shorter))

    def epoch(self, steps: int, context: TrainingContext) -> float:
        epoch, position, length = self._place(steps, context)
        return epoch + position / length

    def _place(self, steps: int, context: TrainingContext) -> tuple[int, int, int]:
        """The epoch after that many steps, how far it has come, and how long it is."""
        longer = self.max_epochs * context.steps_per_epoch
        if steps < longer:
            return *divmod(steps, context.steps_per_epoch), context.steps_per_epoch
        retain = context.sources["retain"].steps_per_epoch
        epoch, position = divmod(steps - longer, retain)
        return self.max_epochs + epoch, position, retain

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        return self._place(steps, context)[1] == 0

    def prepare(self, context: TrainingContext) -> None:
        original = frozen_copy(context.task)
        self._from_original = divergence_from(original, context.task, self.temperature)

    def direction(self, step: Step) -> Direction:
        epoch, position, _ = self._place(step.number, step.context)
        maximising = step.context.sources["forget"].steps_per_epoch
        if epoch < self.max_epochs and position < maximising:
            away, values = step.gradient(step.forget, losses=self._from_original)
            return Direction({name: -g for name, g in away.items()}, {"forget": values})
        stay, _ = step.gradient(step.retain, losses=self._from_original)
        down, values = step.gradient(step.retain)
        gradient = {name: self.alpha * stay[name] + self.gamma * down[name] for name in stay}
        return Direction(gradient, {"retain": values})

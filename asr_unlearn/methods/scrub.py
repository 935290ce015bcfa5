"""Away from the original on the forget set, towards it on the retain set, in turn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.batching import BatchSource
from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.distillation import divergence_and_loss, divergence_from, frozen_copy
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, NonNegativeInt, Positive, PositiveInt


@dataclass(kw_only=True)
class SCRUB(Method):
    """SCRUB with rewinding (Kurmanji et al., arXiv 2302.09880).

    Each of the first `max_epochs` epochs begins with a pass over the forget set that maximises
    T²·KL(original ‖ model). Every epoch then minimises α·T²·KL(original ‖ model) + γ·ℓ over the
    retain set.

    Deviation: the paper trains for all epochs and then rewinds to the one whose forget error is
    nearest to its target. Here the model is checked at the end of each epoch, and the run ends,
    interpolated back, at the first that reaches the stop target.

    Attributes:
        max_epochs: number of epochs with a maximising pass.
        alpha: α, of the divergence on the retain set.
        gamma: γ, of the loss on the retain set.
        temperature: T, softens both distributions.
    """

    name: ClassVar[str] = "scrub"
    paper: ClassVar[str] = "arXiv 2302.09880"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Positive = 5e-4
    epochs: Positive = 4.0
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    max_epochs: NonNegativeInt = 3
    alpha: NonNegative = 0.1
    gamma: NonNegative = 0.9
    temperature: Positive = 2.0

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
        """After that many steps: the epoch, the steps taken in it, and its length in steps."""
        longer = self.max_epochs * context.steps_per_epoch
        if steps < longer:
            return *divmod(steps, context.steps_per_epoch), context.steps_per_epoch
        retain = context.sources["retain"].steps_per_epoch
        epoch, position = divmod(steps - longer, retain)
        return self.max_epochs + epoch, position, retain

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        return self._place(steps, context)[1] == 0

    def prepare(self, context: TrainingContext) -> None:
        task, original = context.task, frozen_copy(context.task)
        self._away = divergence_from(original, task, self.temperature)
        self._near = divergence_and_loss(original, task, self.temperature, (self.alpha, self.gamma))

    def loss(self, step: Step) -> Loss:
        epoch, position, _ = self._place(step.number, step.context)
        maximising = step.context.sources["forget"].steps_per_epoch
        if epoch < self.max_epochs and position < maximising:
            return [Term("forget", -1.0, self._away)]
        return [Term("retain", losses=self._near)]

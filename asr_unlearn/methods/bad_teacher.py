"""Distillation from an untrained teacher on the forget set."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.distillation import divergence_from, frozen_copy, untrained
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Share


@dataclass(kw_only=True)
class BadTeacher(Method):
    """Bad teaching (BT; Chundawat et al., arXiv 2205.08096), frame by frame or token by token.

    Minimises α·KL(original ‖ model) on R + (1 − α)·KL(untrained ‖ model) on F. The untrained
    teacher has the original's architecture and random weights.

    Attributes:
        alpha: α, share of the retain batch.
        temperature: softens both distributions.
    """

    name: ClassVar[str] = "bad_teacher"
    paper: ClassVar[str] = "arXiv 2205.08096"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Positive = 3e-4
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    alpha: Share = 0.95
    temperature: Positive = 1.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.5, 0.99)}

    def prepare(self, context: TrainingContext) -> None:
        task, bad = context.task, untrained(context.task, context.seed)
        self._from_original = divergence_from(frozen_copy(task), task, self.temperature)
        self._from_untrained = divergence_from(bad, task, self.temperature)

    def loss(self, step: Step) -> Loss:
        return [
            Term("forget", 1 - self.alpha, self._from_untrained),
            Term("retain", self.alpha, self._from_original),
        ]

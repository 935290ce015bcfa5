"""Learn from a teacher that knows nothing about the forget speakers, or about anyone."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.distillation import divergence_from, frozen_copy, untrained
from asr_unlearn.methods.method import Direction, Method


@dataclass(kw_only=True)
class BadTeacher(Method):
    """Bad teaching (BT; Chundawat et al., arXiv 2205.08096), frame by frame or token by token.

    Minimise α·KL(original ‖ model) on R + (1 − α)·KL(untrained ‖ model) on F. The untrained
    teacher has the original's architecture and random weights, and never trains.

    Attributes:
        alpha: share of the retain batch.
        temperature: softens both distributions.
    """

    name: ClassVar[str] = "bad_teacher"
    paper: ClassVar[str] = "arXiv 2205.08096"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 3e-4
    clip: float = 1.0
    retain_batch: int = 16
    alpha: float = 0.95
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("from 0 to 1", "alpha")
        self.demand("above 0", "temperature")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.5, 0.99)}

    def prepare(self, context: TrainingContext) -> None:
        task = context.task
        good, bad = frozen_copy(task), untrained(task, context.seed)
        self._from_good = divergence_from(good, task, self.temperature)
        self._from_bad = divergence_from(bad, task, self.temperature)

    def direction(self, step: Step) -> Direction:
        away, forget = step.gradient(step.forget, losses=self._from_bad)
        back, retain = step.gradient(step.retain, losses=self._from_good)
        gradient = {n: self.alpha * back[n] + (1 - self.alpha) * away[n] for n in away}
        return Direction(gradient, {"forget": forget, "retain": retain})

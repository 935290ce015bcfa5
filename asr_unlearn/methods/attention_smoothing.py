"""Learn from oneself with a blurred attention."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.distillation import divergence_from, frozen_copy
from asr_unlearn.methods.method import Direction, Method
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError

QUERIES = ("q_proj", "query_proj", "linear_q", "query")
"""What transformers' speech models call the projection to queries."""


def smoothed_copy(task: Task, temperature: float) -> Task:
    """The task with a frozen copy of its model whose attention has that temperature.

    The queries are divided by it, and with them the scores softmax is taken of. WavLM's relative
    position bias is added to the scores afterwards, and stays as it is.

    Raises:
        ValueError: the model has no attention with a projection to queries.
    """
    teacher = frozen_copy(task)
    found = [m for name, m in teacher.model.named_modules() if name.split(".")[-1] in QUERIES]
    if not found:
        raise InputError(
            f"{type(task.model).__name__} has no attention to smooth: none of its modules is "
            f"called {', '.join(QUERIES)}"
        )
    with torch.no_grad():
        for projection in found:
            for parameter in projection.parameters():
                parameter.div_(temperature)
    return teacher


@dataclass(kw_only=True)
class AttentionSmoothing(Method):
    """Attention smoothing (ASU): a self-teacher whose attention is blurred.

    Minimises α·ℓ_R + (1 − α)·KL(smoothed original ‖ model) on F. Compared for speech recognition
    in arXiv 2609.34092.

    Attributes:
        alpha: share of the retain batch.
        smoothing: temperature of the teacher's attention, above 1.
    """

    name: ClassVar[str] = "attention_smoothing"
    paper: ClassVar[str] = "arXiv 2609.34092"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 5e-4
    clip: float = 1.0
    retain_batch: int = 16
    alpha: float = 0.7
    smoothing: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("from 0 to 1", "alpha")
        self.demand("above 0", "smoothing")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.3, 0.95), "smoothing": (1.5, 10.0)}

    def prepare(self, context: TrainingContext) -> None:
        teacher = smoothed_copy(context.task, self.smoothing)
        self._from_teacher = divergence_from(teacher, context.task)

    def direction(self, step: Step) -> Direction:
        away, forget = step.gradient(step.forget, losses=self._from_teacher)
        down, retain = step.gradient(step.retain)
        gradient = {n: self.alpha * down[n] + (1 - self.alpha) * away[n] for n in away}
        return Direction(gradient, {"forget": forget, "retain": retain})

"""Distillation from the original with smoothed attention."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.distillation import divergence_from, frozen_copy
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Share
from asr_unlearn.models.adapters import merge_adapters
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError

QUERIES = ("q_proj", "query_proj", "linear_q", "query")
"""Names of the projection to queries in transformers' speech models."""


def smoothed_copy(task: Task, temperature: float) -> Task:
    """The task with a frozen copy of its model whose attention scores are divided by `temperature`.

    The projection to queries is divided. What is added to queries or scores stays as it is:
    WavLM's relative position bias, and Parakeet's biases of content and position.

    Raises:
        InputError: the model has no attention with a projection to queries.
    """
    teacher = frozen_copy(task)
    # Divided by themselves, both factors of an adapter would divide what it adds twice.
    merge_adapters(teacher.model)
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
    """Attention smoothing (ASU): the teacher is the original with smoothed attention.

    Minimises α·ℓ_R + (1 − α)·KL(smoothed original ‖ model) on F. Compared for speech recognition
    in arXiv 2609.34092.

    Attributes:
        alpha: α, share of the retain batch.
        smoothing: temperature of the teacher's attention, above 1 to smooth it.
    """

    name: ClassVar[str] = "attention_smoothing"
    paper: ClassVar[str] = "arXiv 2609.34092"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Positive = 5e-4
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    alpha: Share = 0.7
    smoothing: Positive = 3.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.3, 0.95), "smoothing": (1.5, 10.0)}

    def prepare(self, context: TrainingContext) -> None:
        teacher = smoothed_copy(context.task, self.smoothing)
        self._from_teacher = divergence_from(teacher, context.task)

    def loss(self, step: Step) -> Loss:
        return [Term("forget", 1 - self.alpha, self._from_teacher), Term("retain", self.alpha)]

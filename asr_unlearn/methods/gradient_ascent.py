"""Ascent on the forget set alone."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, Rate


@dataclass(kw_only=True)
class GradientAscent(Method):
    """Maximise the mean forget loss (GA; Thudi et al., arXiv 2109.13398), clipped.

    Nothing protects the rest of the model: the plainest method, and the most harmful.
    """

    name: ClassVar[str] = "gradient_ascent"
    paper: ClassVar[str] = "arXiv 2109.13398"
    needs: ClassVar[tuple[Part, ...]] = ("forget",)
    shardable: ClassVar[bool] = True

    lr: Rate = 3e-5
    epochs: Positive = 16.0
    clip: NonNegative = 1.0

    def loss(self, step: Step) -> Loss:
        return [Term("forget", -1.0)]

"""Ascent on the forget set alone."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.method import Direction, Method


@dataclass(kw_only=True)
class GradientAscent(Method):
    """Maximise the mean forget loss (GA; Thudi et al., arXiv 2109.13398), clipped.

    Nothing holds the rest of the model in place: the plainest method, and the most harmful.
    """

    name: ClassVar[str] = "gradient_ascent"
    paper: ClassVar[str] = "arXiv 2109.13398"
    needs: ClassVar[tuple[Part, ...]] = ("forget",)

    lr: float = 3e-5
    epochs: float = 16.0
    clip: float = 1.0

    def direction(self, step: Step) -> Direction:
        up, values = step.gradient(step.forget)
        gradient = {name: -g for name, g in up.items()}
        return Direction(gradient, {"forget": values})

"""Ascent on the forget set with descent on the retain set beside it."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.method import Direction, Method


@dataclass(kw_only=True)
class NegGradPlus(Method):
    """Minimise α·ℓ_R − (1 − α)·ℓ_F (NegGrad+; Kurmanji et al., arXiv 2302.09880)."""

    name: ClassVar[str] = "neggrad_plus"
    paper: ClassVar[str] = "arXiv 2302.09880"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 2e-4
    clip: float = 1.0
    epochs: float = 16.0
    alpha: float = 0.7
    retain_batch: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("from 0 to 1", "alpha")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.3, 0.95)}

    def direction(self, step: Step) -> Direction:
        up, forget = step.gradient(step.forget)
        down, retain = step.gradient(step.retain)
        gradient = {name: self.alpha * down[name] - (1 - self.alpha) * up[name] for name in up}
        return Direction(gradient, {"forget": forget, "retain": retain})

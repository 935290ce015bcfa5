"""Ascent on the forget set with descent on the retain set."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Weights
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Rate, Share


@dataclass(kw_only=True)
class NegGradPlus(Method):
    """Minimise α·ℓ_R − (1 − α)·ℓ_F (NegGrad+; Kurmanji et al., arXiv 2302.09880).

    Attributes:
        alpha: α, share of the retain batch; 0 for ascent alone, which needs no retain data.
    """

    name: ClassVar[str] = "neggrad_plus"
    paper: ClassVar[str] = "arXiv 2302.09880"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")
    shardable: ClassVar[bool] = True

    lr: Rate = 2e-4
    clip: NonNegative = 1.0
    epochs: Positive = 16.0
    alpha: Share = 0.7
    retain_batch: PositiveInt = 16

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.3, 0.95)}

    @property
    def parts(self) -> tuple[Part, ...]:
        drawn = super().parts
        return drawn if self.alpha or self.project else ("forget",)

    def loss(self, step: Step) -> Loss:
        ascent = Term("forget", self.alpha - 1, weights=self.forget_weights(step))
        return [ascent, Term("retain", self.alpha)] if self.alpha else [ascent]

    def forget_weights(self, step: Step) -> Weights | None:
        """The weights of the forget utterances' losses; None for the mean."""
        return None

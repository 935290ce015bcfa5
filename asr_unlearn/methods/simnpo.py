"""Negative preference optimisation without the original model."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients import Weights
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.neggrad_plus import NegGradPlus
from asr_unlearn.methods.option_types import NonNegative, Positive, Rate, Share


@dataclass(kw_only=True)
class SimNPO(NegGradPlus):
    """Minimise α·ℓ_R − (1 − α)·(2/β)·log σ(β·ℓ − γ) (SimNPO; Fan et al., arXiv 2410.07163).

    As `npo`, but each utterance's ascent depends on its mean loss ℓ per label and not on how far
    that is from the original's: the gradient is that of ascent with the weight 2σ(γ − β·ℓ), which
    is the smaller, the worse the model already recognises the utterance.

    Attributes:
        alpha: α, share of the retain batch; 0 for the paper's loss on the forget set alone, which
            needs no retain data.
        beta: β; the larger, the sooner ascent on an utterance ends.
        gamma: γ, the margin: at a loss of γ/β the weight is halved.
    """

    name: ClassVar[str] = "simnpo"
    paper: ClassVar[str] = "arXiv 2410.07163"

    lr: Rate = "auto"
    epochs: Positive = 6.0
    alpha: Share = 0.5
    beta: Positive = 2.5
    gamma: NonNegative = 0.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.1, 0.9), "beta": (0.5, 10.0)}

    def forget_weights(self, step: Step) -> Weights:
        return self._weights

    def _weights(self, losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        return 2 * torch.sigmoid(self.gamma - self.beta * losses) / len(losses)

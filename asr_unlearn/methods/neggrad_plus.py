"""Ascent on the forget set with descent on the retain set beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from asr_unlearn.batching import Batch
from asr_unlearn.gradients import Losses, weighted_gradient
from asr_unlearn.methods.method import Batches, Direction, Method, Part


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

    def direction(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batches]
    ) -> Direction:
        up, forget = weighted_gradient(model, losses, batches["forget"])
        down, retain = weighted_gradient(model, losses, batches["retain"])
        gradient = {name: self.alpha * down[name] - (1 - self.alpha) * up[name] for name in up}
        return Direction(gradient, {"forget": forget.mean().item(), "retain": retain.mean().item()})

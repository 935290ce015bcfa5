"""Ascent where the retain set's Fisher information is small, with fast and slow weights."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, copied, trainable_parameters
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction, Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import (
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Share,
)

TINY = 1e-15
# Of a loss in its weight: one of 0, whose gradient is 0, would take all the weight.
LEAST = 1e-3


@dataclass(kw_only=True)
class SFROn(Method):
    """SFR-on (Huang et al., arXiv 2409.19732): forget within the remain-preserving geometry.

    A mask selects the weights whose diagonal Fisher information on the forget set is at least γ
    times that on the retain set. A round is one masked ascent step along Σ ℓ^(−λ) ℓ / Σ ℓ^(−λ),
    with detached coefficients, times `forget_scale`·½(1 + cos πt/T), and `retain_steps` unmasked
    descent steps on the retain set.

    After each round the slow weights follow the fast ones, θ ← θ_slow + β(θ − θ_slow). β = 1, the
    default and the released code's value, changes nothing.

    Deviations: Fisher information is from per-utterance gradients, where the released code squares
    the gradient of a batch's mean; the mask is computed once, on the original model; and a loss
    below 10⁻³ has the coefficient of one of 10⁻³.

    The learning rate rises over `warmup` and falls along a cosine to `final_lr`; only the ascent
    steps are clipped.

    Attributes:
        gamma: γ, smallest ratio of Fisher informations at which a weight ascends.
        lam: λ; the larger, the less an utterance with a high loss counts.
        forget_scale: scale of the ascent steps relative to the descent steps.
        retain_steps: descent steps after each ascent step.
        beta: β, of the slow weights.
    """

    name: ClassVar[str] = "sfr_on"
    paper: ClassVar[str] = "arXiv 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")
    projectable: ClassVar[bool] = False

    lr: Positive = 1e-3
    epochs: Positive = 8.0
    clip: NonNegative = 7.0
    final_lr: Share = 0.0
    retain_batch: PositiveInt = 16
    gamma: NonNegative = 1.0
    lam: NonNegative = 0.5
    forget_scale: NonNegative = 10.0
    retain_steps: NonNegativeInt = 1
    beta: Share = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._slow: Gradient = {}

    def steps_per_epoch(self, sources: Any) -> int:
        return super().steps_per_epoch(sources) * (1 + self.retain_steps)

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "forget_scale": (1.0, 100.0), "gamma": (0.3, 3.0)}

    def rate(self, step: int, total: int) -> float:
        rise = round(self.warmup * total)
        if step < rise:
            return (step + 1) / rise
        fall = _cosine((step - rise) / max(1, total - rise))
        return self.final_lr + (1 - self.final_lr) * fall

    def max_norm(self, step: Step) -> float:
        return super().max_norm(step) if self._ascends(step) else math.inf

    def _ascends(self, step: Step) -> bool:
        return step.number % (1 + self.retain_steps) == 0

    def prepare(self, context: TrainingContext) -> None:
        forget, retain = context.fisher("forget"), context.fisher("retain")
        self._mask = {
            name: (forget[name] + TINY) / (retain[name] + TINY) >= self.gamma for name in forget
        }
        if self.beta != 1:
            self._slow = copied(trainable_parameters(context.model))

    def direction(self, step: Step) -> Direction:
        found = super().direction(step)
        return found.masked(self._mask) if self._ascends(step) else found

    def loss(self, step: Step) -> Loss:
        if not self._ascends(step):
            return [Term("retain")]
        scale = self.forget_scale * _cosine(step.done)
        return [Term("forget", -scale, weights=self._forget_weights)]

    def _forget_weights(self, losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        weights = losses.clamp(min=LEAST) ** -self.lam
        return weights / weights.sum()

    def after_step(self, step: Step) -> None:
        if self.beta == 1 or (step.number + 1) % (1 + self.retain_steps):
            return
        with torch.no_grad():
            for name, weight in trainable_parameters(step.model).items():
                weight.copy_(self._slow[name].lerp_(weight, self.beta))

    def state_dict(self) -> dict[str, Any]:
        return {"slow": self._slow}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._slow = state["slow"]


def _cosine(done: float) -> float:
    """½(1 + cos π·done): from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * done))

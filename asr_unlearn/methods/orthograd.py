"""Ascent on the forget set, orthogonal to the gradient of every retain utterance."""

import warnings
from dataclasses import dataclass
from typing import ClassVar, TypedDict

from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import (
    Metric,
    OrthogonalStep,
    PoolStep,
    Scope,
    pieces_of,
    pool_step,
    streaming_step,
)
from asr_unlearn.gradients.cgls import TOLERANCE
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Ascent, Direction
from asr_unlearn.methods.option_types import NonNegativeInt, Positive, PositiveInt, Rate, Share
from asr_unlearn.methods.preconditioned import Preconditioned


class _StepOptions(TypedDict):
    scope: Scope
    metric: Metric | None


@dataclass(kw_only=True)
class OrthoGrad(Preconditioned):
    """OrthoGrad (Shamsian et al., arXiv 2503.02312): ascend orthogonally to the retain gradients.

    Descends α·ḡ_R − (1 − α)·u⊥, where u⊥ is the mean forget gradient less its projection onto the
    span of the retain batch's per-utterance gradients. With α = 0 each step leaves every retain
    loss of the batch unchanged to first order.

    Deviation: the authors' code projects each parameter tensor by itself (`scope` "tensor"); the
    default, "global", is what the paper says. The paper passes the direction to any optimizer; with
    a metric D it is α·D⁻¹ḡ_R − (1 − α)·Δ, where the step Δ itself satisfies gᵢᵀΔ = 0.

    Attributes:
        alpha: α, share of the descent on the retain batch.
        scope: "global" projects the whole gradient, "tensor" each parameter by itself.
        retain_pool: number of retain utterances that the step is orthogonal to, by conjugate
            gradients over batches of `retain_batch`; 0 for one batch.
    """

    name: ClassVar[str] = "orthograd"
    paper: ClassVar[str] = "arXiv 2503.02312"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Rate = 1e-3
    warmup: Share = 0.1
    epochs: Positive = 24.0
    retain_batch: PositiveInt = 16
    alpha: Share = 0.7
    scope: Scope = "global"
    retain_pool: NonNegativeInt = 0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.1, 0.9)}

    def batches_per_step(self, part: Part) -> int:
        pooled = part == "retain" and self.retain_pool > self.retain_batch
        return -(-self.retain_pool // self.retain_batch) if pooled else 1

    def direction(self, step: Step) -> Direction:
        found = self._orthogonal_step(step)
        self._metric.after_step(found.retain)
        metric = self._metric.now()
        gradient = {}
        for name, orthogonal in found.orthogonal.items():
            descent = found.retain[name] / metric[name] if metric else found.retain[name]
            gradient[name] = self.alpha * descent - (1 - self.alpha) * orthogonal
        losses: dict[Part, Tensor] = {"forget": found.forget_losses, "retain": found.retain_losses}
        ascent = None
        if self.lr == "auto":
            ascent = Ascent({name: -u for name, u in found.forget.items()}, weights=None)
        return Direction(gradient, losses, _residual(found), ascent)

    def _orthogonal_step(self, step: Step) -> OrthogonalStep:
        options: _StepOptions = {"scope": self.scope, "metric": self._metric.of_this_step()}
        model, losses, group = step.model, step.context.task.losses, step.context.group
        forget, retain = step.batch("forget"), step.batch("retain")
        if self.batches_per_step("retain") == 1:
            return streaming_step(model, losses, forget, retain, group=group, **options)
        return pool_step(model, losses, forget, pieces_of(retain), group=group, **options)


def _residual(found: OrthogonalStep) -> dict[str, float]:
    """The residual and the iterations of a pool step, for the log; warns of a large residual."""
    if not isinstance(found, PoolStep):
        return {}
    if found.residual > TOLERANCE:
        warnings.warn(
            f"after {found.iterations} iterations the step is orthogonal to the retain pool to "
            f"{found.residual:.1e} only, not to {TOLERANCE:.0e}; metrics.jsonl has every step's "
            "residual. A smaller retain_pool, or another metric, needs fewer iterations",
            stacklevel=2,
        )
    return {"residual": found.residual, "iterations": found.iterations}

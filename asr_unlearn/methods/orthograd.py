"""Forget along what no retain utterance cares about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from asr_unlearn.batching import Batch
from asr_unlearn.gradients import Gradient, Losses, Scope, streaming_step, weighted_gradient
from asr_unlearn.methods.method import Direction, Method, Part


@dataclass(kw_only=True)
class OrthoGrad(Method):
    """OrthoGrad (Shamsian et al., arXiv 2503.02312): ascend orthogonally to the retain gradients.

    Descends α·ḡ_R − (1 − α)·u⊥, where u⊥ is the mean forget gradient less its projection onto the
    span of the retain batch's per-utterance gradients. With α = 0 each step leaves every retain
    loss of the batch unchanged to first order.

    Deviation: the paper hands the direction to any optimizer, and an optimizer that rescales
    coordinates or has momentum takes a step that is no longer orthogonal. Here the step is
    plain SGD, and the rescaling is part of the projection: with `metric="adam"` the direction is
    orthogonal in the metric D = √v, so that gᵢᵀΔ = 0 holds for the step that is really taken.

    Attributes:
        alpha: share of the descent on the retain batch.
        scope: "global" projects the whole gradient (the paper), "tensor" each parameter by itself.
        metric: "euclidean", or "adam" (D = √v, v an exponential mean of squared gradients).
        decay: memory of v.
    """

    name: ClassVar[str] = "orthograd"
    paper: ClassVar[str] = "arXiv 2503.02312"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 5e-4
    retain_batch: int = 16
    alpha: float = 0.5
    scope: Scope = "global"
    metric: Literal["euclidean", "adam"] = "adam"
    decay: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self._second_moment: Gradient = {}

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def direction(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batch]
    ) -> Direction:
        forget, retain = batches["forget"], batches["retain"]
        if self.metric == "adam" and not self._second_moment:
            u, _ = weighted_gradient(model, losses, forget)
            g, _ = weighted_gradient(model, losses, retain)
            self._second_moment = _mean_square(u, g)
        scale = self._scale()
        step = streaming_step(model, losses, forget, retain, scope=self.scope, metric=scale)
        if scale is not None:
            for name, square in _mean_square(step.forget, step.retain).items():
                self._second_moment[name].lerp_(square, 1 - self.decay)
        gradient = {}
        for name, orthogonal in step.orthogonal.items():
            descent = step.retain[name]
            if scale is not None:
                descent = descent / scale[name]
            gradient[name] = self.alpha * descent - (1 - self.alpha) * orthogonal
        return Direction(
            gradient,
            {
                "forget": step.forget_losses.mean().item(),
                "retain": step.retain_losses.mean().item(),
            },
        )

    def _scale(self) -> Gradient | None:
        """D, positive everywhere: a parameter that no loss reaches is left where it is."""
        if self.metric == "euclidean":
            return None
        return {name: v.sqrt() + 1e-8 for name, v in self._second_moment.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"second_moment": self._second_moment}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._second_moment = state["second_moment"]


def _mean_square(forget: Gradient, retain: Gradient) -> Gradient:
    return {name: 0.5 * (forget[name] ** 2 + retain[name] ** 2) for name in forget}

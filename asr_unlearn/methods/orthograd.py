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
    warmup: float = 0.1
    epochs: float = 16.0
    retain_batch: int = 16
    alpha: float = 0.7
    scope: Scope = "global"
    metric: Literal["euclidean", "adam"] = "adam"
    decay: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self._second_moment: Gradient = {}
        self._retain: Gradient = {}

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def direction(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batch]
    ) -> Direction:
        forget, retain = batches["forget"], batches["retain"]
        adam = self.metric == "adam"
        if adam and not self._retain:
            self._retain, _ = weighted_gradient(model, losses, retain)
        step = streaming_step(
            model,
            losses,
            forget,
            retain,
            scope=self.scope,
            metric=self._root_mean_square if adam else None,
        )
        gradient = {}
        scale = self._scale() if adam else {}
        for name, orthogonal in step.orthogonal.items():
            descent = step.retain[name] / scale[name] if adam else step.retain[name]
            gradient[name] = self.alpha * descent - (1 - self.alpha) * orthogonal
        self._retain = step.retain if adam else {}
        return Direction(
            gradient,
            {
                "forget": step.forget_losses.mean().item(),
                "retain": step.retain_losses.mean().item(),
            },
        )

    def _root_mean_square(self, forget: Gradient) -> Gradient:
        """D = √v with this step's forget gradient in v, and the last step's retain gradient.

        Were v older than the gradient it divides, a gradient that suddenly grows would make a
        step without bounds; the retain gradient is small, and only known after the projection.
        """
        for name, u in forget.items():
            square = 0.5 * (u**2 + self._retain[name] ** 2)
            if name in self._second_moment:
                self._second_moment[name].lerp_(square, 1 - self.decay)
            else:
                self._second_moment[name] = square
        return self._scale()

    def _scale(self) -> Gradient:
        """√v, positive everywhere: a parameter that no loss reaches has no gradient to divide."""
        return {name: v.sqrt() + 1e-8 for name, v in self._second_moment.items()}

    def state_dict(self) -> dict[str, Any]:
        return {"second_moment": self._second_moment, "retain": self._retain}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._second_moment, self._retain = state["second_moment"], state["retain"]

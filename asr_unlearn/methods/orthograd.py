"""Forget along what no retain utterance cares about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from asr_unlearn.batching import Batch
from asr_unlearn.gradients import (
    Gradient,
    Losses,
    MicroBatches,
    OrthogonalStep,
    Scope,
    diagonal_fisher,
    pool_step,
    streaming_step,
    weighted_gradient,
)
from asr_unlearn.methods.method import Batches, BatchesByStep, Direction, Method, Part


@dataclass(kw_only=True)
class OrthoGrad(Method):
    """OrthoGrad (Shamsian et al., arXiv 2503.02312): ascend orthogonally to the retain gradients.

    Descends α·ḡ_R − (1 − α)·u⊥, where u⊥ is the mean forget gradient less its projection onto the
    span of the retain batch's per-utterance gradients. With α = 0 each step leaves every retain
    loss of the batch unchanged to first order.

    Deviation: the paper hands the direction to any optimizer, and an optimizer that rescales
    coordinates or has momentum takes a step that is no longer orthogonal. Here the step is
    plain SGD, and the rescaling is part of the projection: with a metric D the direction is
    α·D⁻¹ḡ_R − (1 − α)·Δ with gᵢᵀΔ = 0 for the step that is really taken.

    Attributes:
        alpha: share of the descent on the retain batch.
        scope: "global" projects the whole gradient (the paper), "tensor" each parameter by itself.
        metric: "euclidean"; "adam", D = √v with v an exponential mean of squared gradients; or
            "fisher", D = F/mean(F) + damping with F the retain set's diagonal Fisher information
            at the start. The learning rate of "adam" is Adam's, of the others that of SGD.
        decay: memory of v.
        damping: what D is at least, for "fisher".
        fisher_batches: retain batches that F is taken from.
        retain_pool: be orthogonal to this many retain utterances, by conjugate gradients over
            batches of `retain_batch`; 0 for one batch.
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
    metric: Literal["euclidean", "adam", "fisher"] = "adam"
    decay: float = 0.95
    damping: float = 0.1
    fisher_batches: int = 16
    retain_pool: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._retain: Gradient = {}
        self._second_moment: Gradient = {}
        self._fisher: Gradient = {}

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def batches_a_step(self, part: Part) -> int:
        pooled = part == "retain" and self.retain_pool > self.retain_batch
        return -(-self.retain_pool // self.retain_batch) if pooled else 1

    def begin(
        self, model: nn.Module, losses: Losses[Batch], streams: Mapping[Part, BatchesByStep]
    ) -> None:
        retain = streams["retain"]
        if self.metric == "adam":
            self._retain, _ = weighted_gradient(model, losses, retain[0])
        elif self.metric == "fisher":
            batches = (retain[i] for i in range(self.fisher_batches))
            fisher = diagonal_fisher(model, losses, batches)
            total = sum(float(f.sum()) for f in fisher.values())
            mean = total / sum(f.numel() for f in fisher.values())
            self._fisher = {name: f / mean + self.damping for name, f in fisher.items()}

    def direction(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batches]
    ) -> Direction:
        step = self._orthogonal_step(model, losses, batches)
        metric = self._metric()
        gradient = {}
        for name, orthogonal in step.orthogonal.items():
            descent = step.retain[name] / metric[name] if metric else step.retain[name]
            gradient[name] = self.alpha * descent - (1 - self.alpha) * orthogonal
        if self.metric == "adam":
            self._retain = step.retain
        return Direction(
            gradient,
            {
                "forget": step.forget_losses.mean().item(),
                "retain": step.retain_losses.mean().item(),
            },
        )

    def _orthogonal_step(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batches]
    ) -> OrthogonalStep:
        forget, retain = batches["forget"], batches["retain"]
        metric = self._root_mean_square if self.metric == "adam" else self._metric() or None
        if not isinstance(retain, MicroBatches):
            return streaming_step(model, losses, forget, retain, scope=self.scope, metric=metric)
        if isinstance(forget, MicroBatches):
            raise TypeError("the forget batch of a step with a retain pool is one batch")
        return pool_step(model, losses, forget, retain.pieces, scope=self.scope, metric=metric)

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
        return self._metric()

    def _metric(self) -> Gradient:
        """D as it stands, empty for the Euclidean metric.

        Positive also where no loss reaches a parameter: nothing moves there.
        """
        if self.metric == "adam":
            return {name: v.sqrt() + 1e-8 for name, v in self._second_moment.items()}
        return self._fisher

    def state_dict(self) -> dict[str, Any]:
        return {
            "retain": self._retain,
            "second_moment": self._second_moment,
            "fisher": self._fisher,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._retain = state["retain"]
        self._second_moment = state["second_moment"]
        self._fisher = state["fisher"]

"""The diagonal metric D of a projected step, which rescales coordinates as Adam does."""

from typing import Any, Literal

import torch
from torch import Tensor

from asr_unlearn.gradients import Gradient, Metric
from asr_unlearn.methods.context import TrainingContext, in_one

MetricName = Literal["euclidean", "adam", "fisher", "adam_fisher"]


class DiagonalMetric:
    """D from step to step.

    Args:
        kind: "euclidean"; "adam", D = √v with v an exponential mean of squared gradients; "fisher",
            D = F/mean(F) + damping with F the retain set's diagonal Fisher information at the
            start; or "adam_fisher", D = √(max(v, this step's squares) + F).
        decay: decay rate of v.
        damping: smallest D, for "fisher".
        fisher_batches: number of retain batches that F is computed on.
    """

    def __init__(
        self,
        kind: MetricName = "adam_fisher",
        *,
        decay: float = 0.95,
        damping: float = 0.1,
        fisher_batches: int = 16,
    ) -> None:
        self.kind, self.decay = kind, decay
        self.damping, self.fisher_batches = damping, fisher_batches
        self._retain: Gradient = {}
        self._second_moment: Gradient = {}
        self._squares: Gradient = {}
        self._fisher: Gradient = {}

    def prepare(self, context: TrainingContext) -> None:
        """Compute what D needs of the original model."""
        if self._adapts:
            self._retain, _ = context.gradient(in_one(context.sources["retain"].pieces(0)))
        if self.kind == "adam_fisher":
            self._fisher = context.fisher("retain", self.fisher_batches)
        if self.kind == "fisher":
            fisher = context.fisher("retain", self.fisher_batches)
            total = sum(float(f.sum()) for f in fisher.values())
            mean = total / sum(f.numel() for f in fisher.values())
            self._fisher = {name: f / mean + self.damping for name, f in fisher.items()}

    @property
    def _adapts(self) -> bool:
        """Whether D depends on the gradients of earlier steps."""
        return self.kind in ("adam", "adam_fisher")

    def of_this_step(self) -> Metric | None:
        """D of this step; None for the Euclidean metric."""
        return self.at if self._adapts else self.now() or None

    def after_step(self, retain: Gradient) -> None:
        """Keep a step's mean retain gradient, for v of the next."""
        if self._adapts:
            self._retain = retain

    def at(self, forget: Gradient) -> Gradient:
        """D that adapts, after this step's forget gradient and the last retain one are added to v.

        If v did not include the gradient that it divides, a sudden large gradient would give an
        unbounded step. The retain gradient is the previous step's: this step's is known only after
        the projection, and it is small.
        """
        for name, u in forget.items():
            square = 0.5 * (u**2 + self._retain[name] ** 2)
            self._squares[name] = square
            if name in self._second_moment:
                self._second_moment[name].lerp_(square, 1 - self.decay)
            else:
                self._second_moment[name] = square.clone()
        return self.now()

    def now(self) -> Gradient:
        """The current D, empty for the Euclidean metric.

        D is positive also where no loss reaches a parameter, which then does not change.

        F is added to v because v is too small where the retain gradients cancel in their mean: the
        correction Gᵀc is a combination of single gradients, and would be huge when divided by √v.
        """
        if not self._adapts:
            return self._fisher
        return {name: self._mean_square(name).sqrt() + 1e-8 for name in self._second_moment}

    def _mean_square(self, name: str) -> Tensor:
        moment = self._second_moment[name]
        if self.kind == "adam":
            return moment
        return torch.maximum(moment, self._squares[name]) + self._fisher[name]

    def state_dict(self) -> dict[str, Any]:
        """What D carries from step to step."""
        return {"retain": self._retain, "second_moment": self._second_moment}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._retain = state["retain"]
        self._second_moment = state["second_moment"]

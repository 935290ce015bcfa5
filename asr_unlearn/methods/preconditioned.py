"""Steps of plain SGD in a diagonal metric D, which rescales coordinates as Adam does."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from asr_unlearn.gradients import Gradient, Metric, trainable_parameters
from asr_unlearn.methods.context import TrainingContext, in_one
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import Positive, PositiveInt, Share
from asr_unlearn.runtime.errors import InputError


@dataclass(kw_only=True)
class Preconditioned(Method):
    """A method whose steps are orthogonal to retain gradients in the metric D.

    An optimizer that rescales coordinates or has momentum takes a step that is not orthogonal. Here
    the optimizer is plain SGD, and the rescaling is part of the projection.

    Attributes:
        metric: "euclidean"; "adam", D = √v with v an exponential mean of squared gradients;
            "fisher", D = F/mean(F) + damping with F the retain set's diagonal Fisher information
            at the start; or "adam_fisher", D = √(max(v, this step's squares) + F). Learning rates
            are those of Adam for "adam" and "adam_fisher", those of SGD for the others.
        decay: decay rate of v.
        damping: smallest D, for "fisher".
        fisher_batches: number of retain batches that F is computed on.
    """

    metric: Literal["euclidean", "adam", "fisher", "adam_fisher"] = "adam_fisher"
    decay: Share = 0.95
    damping: Positive = 0.1
    fisher_batches: PositiveInt = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._retain: Gradient = {}
        self._second_moment: Gradient = {}
        self._squares: Gradient = {}
        self._fisher: Gradient = {}
        self._check_optimizer([nn.Parameter(torch.zeros(1))])

    def _check_optimizer(self, parameters: list[nn.Parameter]) -> None:
        """Raises InputError where a subclass's optimizer would change the projected step."""
        optimizer = self.optimizer(parameters)
        settings = ("momentum", "weight_decay", "maximize")
        changed = [key for key in settings if any(g.get(key) for g in optimizer.param_groups)]
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if stepped != set(map(id, parameters)):
            changed.append("of some parameters only")
        if type(optimizer) is not torch.optim.SGD or changed:
            what = f"{type(optimizer).__name__} {' and '.join(changed)}".rstrip()
            raise InputError(
                f"{self.name}: {what} would not take the step that is orthogonal to the retain "
                "gradients; use torch.optim.SGD of all parameters, in each group without momentum, "
                "weight decay or maximize (metric=adam rescales the step within the projection)"
            )

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.highest_rate)

    def prepare(self, context: TrainingContext) -> None:
        # An optimizer's groups may depend on the model's parameters.
        self._check_optimizer(list(trainable_parameters(context.model).values()))
        if self._adapts:
            self._retain, _ = context.gradient(in_one(context.sources["retain"].pieces(0)))
        if self.metric == "adam_fisher":
            self._fisher = context.fisher("retain", self.fisher_batches)
        if self.metric == "fisher":
            fisher = context.fisher("retain", self.fisher_batches)
            total = sum(float(f.sum()) for f in fisher.values())
            mean = total / sum(f.numel() for f in fisher.values())
            self._fisher = {name: f / mean + self.damping for name, f in fisher.items()}

    @property
    def _adapts(self) -> bool:
        """Whether D depends on the gradients of earlier steps."""
        return self.metric in ("adam", "adam_fisher")

    def _current_metric(self) -> Metric | None:
        """D of this step; None for the Euclidean metric."""
        return self._root_mean_square if self._adapts else self._metric() or None

    def _root_mean_square(self, forget: Gradient) -> Gradient:
        """D, after this step's forget gradient and the last retain gradient are added to v.

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
        return self._metric()

    def _metric(self) -> Gradient:
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
        if self.metric == "adam":
            return moment
        return torch.maximum(moment, self._squares[name]) + self._fisher[name]

    def state_dict(self) -> dict[str, Any]:
        return {"retain": self._retain, "second_moment": self._second_moment}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._retain = state["retain"]
        self._second_moment = state["second_moment"]

"""Steps of plain SGD in a diagonal metric D, which rescales coordinates as Adam does."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods.context import TrainingContext
from asr_unlearn.methods.diagonal_metric import DiagonalMetric, MetricName
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import Positive, PositiveInt, Share
from asr_unlearn.runtime.errors import InputError


@dataclass(kw_only=True)
class Preconditioned(Method):
    """A method whose steps are orthogonal to retain gradients in the metric D.

    An optimizer that rescales coordinates or has momentum takes a step that is not orthogonal. Here
    the optimizer is plain SGD, and the rescaling is part of the projection.

    Attributes:
        metric: D: euclidean, adam, fisher or adam_fisher (see `DiagonalMetric`). Learning rates are
            those of Adam for "adam" and "adam_fisher", those of SGD for the others.
        decay: decay rate of v.
        damping: smallest D, for "fisher".
        fisher_batches: number of retain batches that F is computed on.
    """

    metric: MetricName = "adam_fisher"
    decay: Share = 0.95
    damping: Positive = 0.1
    fisher_batches: PositiveInt = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        self._metric = DiagonalMetric(
            self.metric,
            decay=self.decay,
            damping=self.damping,
            fisher_batches=self.fisher_batches,
        )
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
        self._metric.prepare(context)

    def state_dict(self) -> dict[str, Any]:
        return self._metric.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._metric.load_state_dict(state)

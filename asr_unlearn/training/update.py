"""One update of the weights, along the direction that a method gives."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients import Gradient, copied, trainable_parameters
from asr_unlearn.methods import Method, Step
from asr_unlearn.methods.direction import Direction
from asr_unlearn.methods.projected import ProjectedStep
from asr_unlearn.methods.step_length import StepLengthLimit, scaled_to
from asr_unlearn.runtime import sharding
from asr_unlearn.runtime.distributed import gathered_tensor
from asr_unlearn.training.earlier_requests import keep_off, orthonormal


class NotFiniteError(ArithmeticError):
    """The gradient is not finite; the weights are as before."""


class Update:
    """The optimizer of a run, and what changes its steps.

    Args:
        model: whose trainable parameters are changed.
        method: of the run.
        protected: changes that no step moves the parameters along, by parameter name.

    Attributes:
        projection: of methods that are projected; else None.
        scale: of the last step of a method without a learning rate, else the learning rate.
    """

    def __init__(self, model: nn.Module, method: Method, protected: Sequence[Gradient]) -> None:
        self.model, self.method = model, method
        self.parameters = trainable_parameters(model)
        self.protected = orthonormal(protected, self.parameters)
        self.projection = ProjectedStep() if method.project else None
        weights = list(self.parameters.values())
        self.optimizer = (
            method.optimizer(weights)
            if self.projection is None
            else torch.optim.SGD(weights, lr=method.highest_rate)
        )
        self.scale = method.highest_rate
        self._usual = StepLengthLimit()

    def set_rate(self, share: float) -> None:
        """Set the learning rate to a share of the highest."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.method.highest_rate * share

    def __call__(self, step: Step) -> Direction:
        """Move the weights along the method's direction, which is returned.

        Raises:
            NotFiniteError: the gradient has a number that is not finite.
        """
        direction, limit = self.method.direction(step), self.method.max_norm(step)
        if self.projection is not None:
            direction, limit = self.projection(step, direction), math.inf
        norm = self._norm(direction.gradient)
        if not torch.isfinite(norm):
            raise NotFiniteError
        share = min(1.0, limit / (float(norm) + 1e-6))
        for name, parameter in self.parameters.items():
            # Not clipped in place: the predicted rise needs the gradient as it is.
            gradient = direction.gradient[name]
            parameter.grad = gradient * share if share < 1 else gradient
        before = copied(self.parameters) if self.protected else {}
        self._move(step, direction)
        if self.protected:
            keep_off(self.protected, self.parameters, before)
        self.optimizer.zero_grad(set_to_none=True)
        self.method.after_step(step)
        return direction

    def _move(self, step: Step, direction: Direction) -> None:
        """The optimizer's step, scaled where the method has no learning rate."""
        if step.step_length is None or direction.ascent is None:
            self.optimizer.step()
            return
        descent, weights = direction.ascent.descent, direction.ascent.scaled_weights
        losses = direction.losses["forget"]
        if (weights(gathered_tensor(losses)) < 0).any():
            # The step lowers the loss of some forget utterance.
            self.optimizer.step()
            return
        before = copied(self.parameters)
        self.optimizer.step()
        wanted = step.wanted_rise(losses, weights)
        self.scale = scaled_to(wanted, self.parameters, before, descent, self._usual, self._summed)

    def _norm(self, gradient: Gradient) -> Float[Tensor, ""]:
        """The norm of a gradient of which this process may have a part."""
        norm = torch.nn.utils.get_total_norm(list(gradient.values()))
        return self._summed(norm.square()).sqrt() if sharding.is_sharded(self.model) else norm

    def _summed(self, value: Tensor) -> Tensor:
        return sharding.summed(self.model, value)

    def state_dict(self) -> dict[str, Any]:
        """What is carried from step to step, beside the state of the optimizer."""
        return {
            "method": self.method.state_dict(),
            "projection": self.projection.state_dict() if self.projection else {},
            "lengths": self._usual.lengths,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.method.load_state_dict(state["method"])
        self._usual.lengths = state["lengths"]
        if self.projection is not None:
            self.projection.load_state_dict(state["projection"])

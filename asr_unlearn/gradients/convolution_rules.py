"""Per-utterance parameter gradients of convolutions; see rules.py."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor
from torch.nn.grad import conv1d_weight, conv2d_weight

from asr_unlearn.gradients.rules import WHOLE, Factors, Rule, by_channel, rule_for

WeightGradient = Callable[..., Tensor]


class Convolution(Rule):
    """Convolution over [n, C, ...] along some axes, grouped or not."""

    arguments = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    operands = ("weight", "bias")
    axes: ClassVar[int]
    """How many axes behind the channels it runs along."""
    weight_gradient: ClassVar[WeightGradient]

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        return x.dim() == 2 + self.axes

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        if operand == "bias":
            return by_channel(factors.delta, factors.groups)[:, part]
        options = factors.options
        shape, dilation = options["weight"].shape, options.get("dilation", 1)
        stride, channels = options.get("stride", 1), options.get("groups", 1)
        x, padding = self._padded(factors.x, options)
        delta = torch.unflatten(factors.delta, 0, (factors.groups, -1))
        gradient = type(self).weight_gradient
        gradients = [
            gradient(a, shape, d, stride, padding, dilation, channels)
            for a, d in zip(torch.unflatten(x, 0, (factors.groups, -1)), delta, strict=True)
        ]
        return torch.stack(gradients)[:, part]

    def _padded(
        self, x: Float[Tensor, "n C ..."], options: dict[str, Any]
    ) -> tuple[Float[Tensor, "n C ..."], int | tuple[int, ...]]:
        """The input, and its padding as numbers: "same" may add one frame more on the right."""
        padding: int | str | tuple[int, ...] = options.get("padding", 0)
        if not isinstance(padding, str):
            return x, padding
        if padding == "valid":
            return x, 0
        kernels = options["weight"].shape[2:]
        dilations = _each(options.get("dilation", 1), self.axes)
        sides: list[int] = []
        # F.pad begins with the last axis.
        for kernel, dilation in zip(reversed(kernels), reversed(dilations), strict=True):
            total = dilation * (kernel - 1)
            sides += [total // 2, total - total // 2]
        return F.pad(x, sides), 0


def _each(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


@rule_for(F.conv1d)
class Conv1d(Convolution):
    """Convolution over [n, C, T]."""

    axes = 1
    weight_gradient = staticmethod(conv1d_weight)


@rule_for(F.conv2d)
class Conv2d(Convolution):
    """Convolution over [n, C, H, W], as of spectrograms."""

    axes = 2
    weight_gradient = staticmethod(conv2d_weight)

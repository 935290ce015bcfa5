"""Weights rounded to fewer bits or pruned, written back as the numbers that they stand for."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Precision = Literal["bf16", "int8", "int4", "pruned"]
PRECISIONS: tuple[Precision, ...] = ("bf16", "int8", "int4", "pruned")
# The largest whole numbers: symmetric, so -128 and -8 are not used.
INT8, INT4 = 127, 7
# Consecutive inputs of an output channel that share a step in int4.
GROUP = 32
# The share of a weight that is pruned.
PRUNED = 0.3


def rounded(weight: Float[Tensor, "out *inputs"], precision: Precision) -> Float[Tensor, "..."]:
    """Return a weight rounded to the nearest value of a precision, in its own shape and dtype.

    "bf16" keeps eight bits of the mantissa. "int8" has one step for each output channel, which is
    its largest absolute weight divided by 127; "int4" one for each group of 32 inputs of an output
    channel, the largest divided by 7. A tie goes to the even number. "pruned" sets the 30% that are
    smallest in magnitude to zero, and more where others are as small.

    Args:
        weight: the first axis is the output channel; the others are its inputs, in this order.
    """
    if precision == "bf16":
        return weight.to(torch.bfloat16).to(weight.dtype)
    rows = weight.detach().float().flatten(1)
    if precision == "pruned":
        magnitudes = weight.detach().abs()
        smallest = round(PRUNED * weight.numel())
        # Counted by sorting: quantiles are for small tensors only.
        bound = magnitudes.flatten().kthvalue(smallest).values if smallest else -1
        return torch.where(magnitudes > bound, weight.detach(), 0)
    if precision == "int8":
        found = _on_grid(rows, INT8)
    else:
        found = torch.cat([_on_grid(group, INT4) for group in rows.split(GROUP, dim=1)], dim=1)
    return found.to(weight.dtype).reshape(weight.shape)


def _on_grid(rows: Float[Tensor, "out n"], largest: int) -> Float[Tensor, "out n"]:
    """Each row in whole multiples of its largest absolute value divided by `largest`."""
    step = rows.abs().amax(dim=1, keepdim=True) / largest
    # A row of zeros has no step, and stays.
    return torch.where(step > 0, (rows / step).round().clamp(-largest, largest) * step, rows)

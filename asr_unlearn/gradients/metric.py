"""The diagonal metric D of a preconditioned orthogonal step."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from asr_unlearn.gradients.types import Gradient, Metric
from asr_unlearn.runtime.errors import InputError


def metric_at(
    metric: Metric | None, forget: Gradient, parameters: Mapping[str, Tensor]
) -> Gradient | None:
    """D for the forget gradient u.

    Raises:
        InputError: D is not positive or lacks a parameter; the message names it.
    """
    if callable(metric):
        metric = metric(forget)
    if metric is None:
        return None
    for name, parameter in parameters.items():
        if name not in metric:
            raise InputError(f"the metric has no entry for the parameter {name}")
        if metric[name].shape != parameter.shape:
            raise InputError(
                f"the metric of {name} has shape {tuple(metric[name].shape)}, "
                f"the parameter {tuple(parameter.shape)}"
            )
        if not (metric[name] > 0).all():
            raise InputError(f"the metric of {name} is not positive: add a small constant to it")
    return metric


def square(gradient: Gradient, metric: Gradient | None) -> float:
    """vᵀD⁻¹v of a gradient v."""
    return sum(
        _square(value if metric is None else value / metric[name].sqrt())
        for name, value in gradient.items()
    )


def norm(gradient: Gradient) -> float:
    """‖v‖ of a gradient v."""
    return math.sqrt(square(gradient, None))


def _square(values: Tensor) -> float:
    """The sum of squares, in float64: squares of large numbers overflow in single precision."""
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2


def remaining_fraction(forget: Gradient, orthogonal: Gradient, metric: Gradient | None) -> float:
    """‖u − Gᵀc‖ / ‖u‖ in the norm of D⁻¹, from u and Δ = D⁻¹(u − Gᵀc); 0 for a zero u."""
    whole = part = 0.0
    for name, u in forget.items():
        step = orthogonal[name]
        if metric is not None:
            root = metric[name].sqrt()
            u, step = u / root, step * root
        whole += _square(u)
        part += _square(step)
    return (part / whole) ** 0.5 if whole else 0.0

"""K = G D⁻¹ Gᵀ and the products of G, from rows that are formed a range at a time.

With the coefficients that they give, `streaming_step` needs no B×P array.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.factors import Factored
from asr_unlearn.gradients.jacobian import Jacobian, Range, Source, columns
from asr_unlearn.gradients.rules import Factors, Linear
from asr_unlearn.gradients.types import (
    Gradient,
)

RUN = 1024
"""How many products are summed in the precision of the rows before the sum goes on in float64."""


@dataclass(frozen=True)
class Statistics:
    """K and b by parameter, and the mean row of G."""

    grams: dict[str, Float[Tensor, "B B"]]
    products: dict[str, Float[Tensor, " B"]]
    mean: Gradient


def statistics(
    jacobian: Jacobian,
    direction: Gradient,
    metric: Gradient | None,
    processes: Processes,
) -> Statistics:
    """K = G D⁻¹ Gᵀ and b = G D⁻¹ u of each parameter, in float64 sums, and the mean of G's rows.

    With several processes G has the rows of all of them.
    """
    size = sum(processes.sizes)
    zero = torch.zeros(size, dtype=torch.float64, device=jacobian.losses.device)
    grams = {name: zero.expand(size, size).clone() for name in jacobian.parameters}
    products = {name: zero.clone() for name in jacobian.parameters}
    mean = {
        name: torch.empty_like(p, memory_format=torch.contiguous_format).detach()
        for name, p in jacobian.parameters.items()
    }
    with jacobian.full_precision():
        for group in jacobian.groups:
            only = None if metric or processes.group else jacobian.only_source(group)
            if only is not None and (ghost := _ghost(only)) is not None:
                (name,), (rule, factors) = group, ghost
                grams[name] += rule.gram(factors)
                products[name] += rule.products(factors, direction[name])
                dtype = torch.promote_types(factors.delta.dtype, torch.float32)
                share = torch.full_like(jacobian.losses, 1 / size, dtype=dtype)
                mean[name] = only.contribution.total("weight", share)
                continue
            for span in jacobian.ranges(group, size):
                name, flat = span.name, span.flat
                share = flat.new_full((1, len(jacobian)), 1 / size)
                torch.mm(share, flat, out=columns(mean[name], span.part).view(1, -1))
                u = processes.columns(columns(direction[name], span.part).reshape(-1))
                flat = processes.rows(flat)
                if metric is not None:
                    scale = processes.columns(columns(metric[name], span.part).reshape(-1)).rsqrt()
                    flat, u = flat * scale, u * scale
                grams[name] += inner_products(flat, flat)
                products[name] += inner_products(flat, u[None])[:, 0]
    for found in (*grams.values(), *products.values(), *mean.values()):
        processes.summed(found)
    return Statistics(grams, products, mean)


def exact_statistics(
    jacobian: Jacobian,
    direction: Gradient,
    metric: Gradient | None,
    processes: Processes,
    names: Collection[str],
) -> tuple[dict[str, Float[Tensor, "B B"]], dict[str, Float[Tensor, " B"]]]:
    """K and b of these parameters alone, from products in float64.

    For rows that are near-duplicates, or whose squares underflow or overflow in single precision.
    """
    size = sum(processes.sizes)
    zero = torch.zeros(size, dtype=torch.float64, device=jacobian.losses.device)
    grams = {name: zero.expand(size, size).clone() for name in names}
    products = {name: zero.clone() for name in names}
    for span in _ranges(jacobian, names, size):
        name = span.name
        flat = processes.rows(span.flat).double()
        u = processes.columns(columns(direction[name], span.part).reshape(-1)).double()
        if metric is not None:
            scale = processes.columns(columns(metric[name], span.part).reshape(-1)).double().rsqrt()
            flat, u = flat * scale, u * scale
        grams[name] += flat @ flat.T
        products[name] += flat @ u
    for found in (*grams.values(), *products.values()):
        processes.summed(found)
    return grams, products


def exact_remainders(
    jacobian: Jacobian,
    direction: Gradient,
    length: float,
    coefficients: Mapping[str, Float[Tensor, " B"]],
    processes: Processes,
) -> Gradient:
    """s·u − Gᵀc of the parameters that have coefficients, summed in float64.

    It uses the same rows as `exact_statistics`: between near-duplicates c is large, and multiplies
    any rounding error.
    """
    left = {name: torch.empty_like(direction[name]) for name in coefficients}
    for span in _ranges(jacobian, coefficients, sum(processes.sizes)):
        u = columns(direction[span.name], span.part)
        correction = processes.summed(coefficients[span.name] @ span.flat.double())
        columns(left[span.name], span.part).copy_(length * u.double() - correction.view(u.shape))
    return left


def _ranges(jacobian: Jacobian, names: Collection[str], size: int) -> Iterator[Range]:
    with jacobian.full_precision():
        for group in jacobian.groups:
            if not set(names).isdisjoint(group):
                yield from (s for s in jacobian.ranges(group, size) if s.name in names)


def inner_products(left: Float[Tensor, "B n"], right: Float[Tensor, "C n"]) -> Float[Tensor, "B C"]:
    """L Rᵀ in float64, summed in the inputs' precision over runs of `RUN` products only.

    A plain product of two long thin matrices sums millions of numbers one after the other: in
    float32 its relative error is 1e-5 to 1e-4, here it is 1e-8, at the same speed.
    """
    whole = left.shape[1] // RUN * RUN
    a, b = (m[:, :whole].unflatten(1, (-1, RUN)).transpose(0, 1) for m in (left, right))
    total = torch.bmm(a, b.mT).sum(0, dtype=torch.float64)
    return total + left[:, whole:] @ right[:, whole:].T


def _ghost(source: Source) -> tuple[Linear, Factors] | None:
    """Rule and factors of a linear weight whose K costs less from these than from rows; else None.

    After Goodfellow, arXiv 1510.01799; called ghost norm in differential privacy.
    """
    use = source.contribution
    if source.operand != "weight" or not isinstance(use, Factored):
        return None
    if not isinstance(rule := use.rule, Linear) or (factors := use.even_factors()) is None:
        return None
    return (rule, factors) if rule.ghost_is_cheaper(factors) else None


def products(
    jacobian: Jacobian, direction: Gradient, metric: Gradient | None
) -> dict[str, Float[Tensor, " B"]]:
    """G D⁻¹ v of each parameter alone, in float64 sums."""
    found = {
        name: torch.zeros(len(jacobian), dtype=torch.float64, device=jacobian.losses.device)
        for name in jacobian.parameters
    }
    with jacobian.full_precision():
        for group in jacobian.groups:
            for span in jacobian.ranges(group, len(jacobian)):
                v = columns(direction[span.name], span.part)
                if metric is not None:
                    v = v / columns(metric[span.name], span.part)
                found[span.name] += inner_products(span.flat, v.reshape(1, -1))[:, 0]
    return found

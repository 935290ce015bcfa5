"""The streaming engine: OrthoGrad at nearly the cost of NegGrad+.

One backward pass over the retain batch gives the factors of G (jacobian.py). Rows of G are formed
from them a range at a time, and their products are added to K (B×B) and b (B). With the solved
coefficients, one weighted product per operation gives the correction Gᵀc. There is no B×P array and
no second backward pass.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.factors import Factored
from asr_unlearn.gradients.jacobian import Jacobian, Range, Source, columns
from asr_unlearn.gradients.metric import metric_at, remaining_fraction, square
from asr_unlearn.gradients.projection import (
    Projection,
    exact_cutoff,
    needs_float64,
    prescribed,
    project_parameters,
    ranks,
    relative_cutoff,
    summed,
)
from asr_unlearn.gradients.rules import Factors, Linear
from asr_unlearn.gradients.types import (
    Batch,
    Gradient,
    Losses,
    Metric,
    MicroBatches,
    OrthogonalStep,
    Rises,
    Scope,
    Weights,
    check_scope,
    pieces_of,
)
from asr_unlearn.gradients.weighted_gradient import trainable_parameters, weighted_gradient

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


def streaming_step(
    model: nn.Module,
    losses: Losses[Batch],
    forget: Batch | MicroBatches[Batch],
    retain: Batch | MicroBatches[Batch],
    *,
    forget_weights: Weights | None = None,
    scope: Scope = "global",
    metric: Metric | None = None,
    rises: Rises | None = None,
    retain_losses: Losses[Batch] | None = None,
    group: ProcessGroup | None = None,
) -> OrthogonalStep:
    """The orthogonal step (OrthoGrad, arXiv 2503.02312, with K⁺ for QR) without stacked rows.

    Equals `stacked_step` up to rounding. The model should be in eval mode: with dropout or
    SpecAugment on, the step is orthogonal to the gradients of that one draw.

    Args:
        losses: one differentiable loss per utterance of a batch.
        forget: the batch whose weighted gradient is u.
        retain: the batch whose gradients Δ is orthogonal to. Of micro-batches only the factors are
            in memory together, not the graphs.
        forget_weights: weights of u; None for the mean.
        scope: project the whole gradient, or each parameter tensor by itself.
        metric: the positive diagonal D, or a function of u that gives it; None is the Euclidean
            metric.
        rises: what the step is to change; None for the orthogonal step. Needs the scope "global".
        retain_losses: what gᵢ are the gradients of; `losses` by default.
        group: processes that each have at least one forget and one retain utterance. All get the
            step of all utterances together; the returned losses are their own.

    Raises:
        InputError: the metric does not fit, the gradients are not finite, or nothing is trainable.
    """
    check_scope(rises, scope)
    parameters = trainable_parameters(model)
    processes = Processes(group)
    u, forget_losses = weighted_gradient(model, losses, forget, forget_weights, group=group)
    scale = metric_at(metric, u, parameters)
    jacobian = Jacobian(model, retain_losses or losses, pieces_of(retain))
    processes = processes.with_utterances(len(jacobian), jacobian.losses.device)
    known = statistics(jacobian, u, scale, processes)
    dtype = max((p.dtype for p in parameters.values()), key=relative_cutoff)
    ill = set() if dtype == torch.float64 else _ill_conditioned(known.grams, scope)
    systems = []
    if ill:
        systems.append((*exact_statistics(jacobian, u, scale, processes, ill), exact_cutoff(dtype)))
    if len(ill) < len(parameters):
        grams = {name: gram for name, gram in known.grams.items() if name not in ill}
        systems.append((grams, known.products, relative_cutoff(dtype)))
    projections: dict[str, Projection] = {}
    length, kept = 1.0, None
    for grams, products, rtol in systems:
        if rises is None:
            projections |= project_parameters(grams, products, scope, rtol=rtol)
        else:
            r, rise = processes.joined(rises.retain(jacobian.losses)), rises.forget(forget_losses)
            whole = summed(grams), summed(products), square(u, scale)
            found = prescribed(*whole, r, rise, rtol=rtol)
            length, kept = found.length, found.kept
            projections |= dict.fromkeys(grams, found.projection)
    own = {id(p): processes.mine(p.coefficients) for p in projections.values()}
    coefficients = {name: own[id(p)] for name, p in projections.items()}
    wide = {n: coefficients[n] for n in ill}
    orthogonal = exact_remainders(jacobian, u, length, wide, processes)
    for name, correction in jacobian.totals(
        {n: c for n, c in coefficients.items() if n not in ill}
    ):
        orthogonal[name] = processes.summed(correction).neg_().add_(u[name], alpha=length)
    if scale is not None:
        for name, remainder in orthogonal.items():
            remainder.div_(scale[name])
    return OrthogonalStep(
        forget=u,
        orthogonal={name: orthogonal[name] for name in parameters},
        retain=known.mean,
        forget_losses=forget_losses,
        retain_losses=jacobian.losses,
        kept=remaining_fraction(u, orthogonal, scale) if kept is None else kept,
        rank=ranks({name: projections[name] for name in parameters}, scope),
        length=length,
    )


def _ill_conditioned(grams: Mapping[str, Float[Tensor, "B B"]], scope: Scope) -> set[str]:
    """The parameters whose K needs sums in float64: all or none under the scope "global"."""
    if scope == "tensor":
        return {name for name, gram in grams.items() if needs_float64(gram)}
    return set(grams) if needs_float64(summed(grams)) else set()

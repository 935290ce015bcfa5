"""The reference engine: all retain gradients as the rows of one B×P matrix."""

from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.metric import metric_at, remaining_fraction, square
from asr_unlearn.gradients.projection import (
    exact_cutoff,
    prescribed,
    project_parameters,
    ranks,
    summed,
)
from asr_unlearn.gradients.types import (
    Batch,
    Losses,
    Metric,
    OrthogonalStep,
    Rises,
    Scope,
    Weights,
    check_scope,
)
from asr_unlearn.gradients.weighted_gradient import (
    trainable_parameters,
    utterance_losses,
    weighted_gradient,
)


def stacked_step(
    model: nn.Module,
    losses: Losses[Batch],
    forget: Batch,
    retain: Batch,
    *,
    forget_weights: Weights | None = None,
    scope: Scope = "global",
    metric: Metric | None = None,
    rises: Rises | None = None,
    retain_losses: Losses[Batch] | None = None,
) -> OrthogonalStep:
    """The orthogonal step from stacked rows (OrthoGrad, arXiv 2503.02312, with K⁺ for QR).

    Needs memory for B×P numbers: for tests and small models. `metric` is the positive diagonal D,
    or a function of u that gives it; None is the Euclidean metric. `rises` are prescribed changes
    of the losses, None for the orthogonal step.
    """
    check_scope(rises, scope)
    parameters = trainable_parameters(model)
    u, forget_losses = weighted_gradient(model, losses, forget, forget_weights)
    scale = metric_at(metric, u, parameters)
    stacked, values = per_utterance_gradients(model, retain_losses or losses, retain)
    sizes = [parameter.numel() for parameter in parameters.values()]
    rows = dict(zip(parameters, stacked.split(sizes, dim=1), strict=True))
    grams, products = {}, {}
    for name in parameters:
        inverse = scale[name].double().reciprocal().reshape(-1) if scale else 1.0
        # The sums of K cancel when utterances are similar, so they are in float64.
        wide = rows[name].double()
        grams[name] = (wide * inverse) @ wide.T
        products[name] = wide @ (inverse * u[name].double().reshape(-1))
    rtol = exact_cutoff(stacked.dtype)
    projections = project_parameters(grams, products, scope, rtol=rtol)
    length, kept = 1.0, None
    if rises is not None:
        r, rise = rises.retain(values), rises.forget(forget_losses)
        whole = summed(grams), summed(products), square(u, scale)
        found = prescribed(*whole, r, rise, rtol=rtol)
        length, kept = found.length, found.kept
        projections = dict.fromkeys(parameters, found.projection)
    orthogonal = {}
    for name in parameters:
        correction = projections[name].coefficients @ rows[name].double()
        remainder = (length * u[name].double() - correction.view_as(u[name])).to(u[name])
        orthogonal[name] = remainder / scale[name] if scale else remainder
    return OrthogonalStep(
        forget=u,
        orthogonal=orthogonal,
        retain={name: rows[name].mean(0).view_as(u[name]) for name in parameters},
        forget_losses=forget_losses,
        retain_losses=values,
        kept=remaining_fraction(u, orthogonal, scale) if kept is None else kept,
        rank=ranks(projections, scope),
        length=length,
    )


def per_utterance_gradients(
    model: nn.Module, losses: Losses[Batch], batch: Batch
) -> tuple[Float[Tensor, "B P"], Float[Tensor, " B"]]:
    """The flattened gradient of each utterance, and the detached losses.

    Takes one batched forward pass and one backward pass per utterance. Columns are in the order of
    `trainable_parameters`, each tensor flattened in row-major order.
    """
    parameters = list(trainable_parameters(model).values())
    values = utterance_losses(losses, batch)
    widest = reduce(torch.promote_types, (p.dtype for p in parameters))
    rows = values.new_zeros(len(values), sum(p.numel() for p in parameters), dtype=widest)
    for row, value in zip(rows, values, strict=True):
        gradients = torch.autograd.grad(
            value, parameters, retain_graph=True, materialize_grads=True, allow_unused=True
        )
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=row)
    return rows, values.detach()

"""The streaming engine: OrthoGrad at nearly the cost of NegGrad+.

One backward pass over the retain batch gives the factors of G (jacobian.py). Rows of G are formed
from them a range at a time, and their products are added to K (B×B) and b (B). With the solved
coefficients, one weighted product per operation gives the correction Gᵀc. There is no B×P array and
no second backward pass.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.gram import exact_remainders, exact_statistics, statistics
from asr_unlearn.gradients.jacobian import Jacobian
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
    u, forget_losses = weighted_gradient(model, losses, forget, forget_weights, group=group)
    return orthogonal_part(
        model,
        retain_losses or losses,
        u,
        retain,
        scope=scope,
        metric=metric,
        rises=rises,
        forget_losses=forget_losses,
        group=group,
    )


def orthogonal_part(
    model: nn.Module,
    losses: Losses[Batch],
    direction: Gradient,
    retain: Batch | MicroBatches[Batch],
    *,
    scope: Scope = "global",
    metric: Metric | None = None,
    rises: Rises | None = None,
    forget_losses: Float[Tensor, " F"] | None = None,
    group: ProcessGroup | None = None,
) -> OrthogonalStep:
    """The step of `streaming_step` for any direction u, of whatever loss it is the gradient.

    Args:
        losses: what gᵢ are the gradients of, one per utterance of a batch.
        direction: u, the same for all processes.
        forget_losses: of the utterances that u comes from, for `rises`; returned, or none.
        retain, scope, metric, rises, group: as for `streaming_step`.

    Raises:
        InputError: as for `streaming_step`.
    """
    check_scope(rises, scope)
    u, forget_losses = direction, torch.zeros(0) if forget_losses is None else forget_losses
    parameters = trainable_parameters(model)
    processes = Processes(group)
    scale = metric_at(metric, u, parameters)
    jacobian = Jacobian(model, losses, pieces_of(retain))
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

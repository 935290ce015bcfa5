"""The reference engine: every retain gradient as a row of one B×P matrix."""

from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.metric import kept_fraction, metric_at
from asr_unlearn.gradients.per_utterance import (
    per_utterance_gradients,
    trainable_parameters,
    weighted_gradient,
)
from asr_unlearn.gradients.projection import exact_cutoff, project_parameters, ranks
from asr_unlearn.gradients.step import (
    Batch,
    Losses,
    Metric,
    OrthogonalStep,
    Scope,
    Weights,
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
) -> OrthogonalStep:
    """The orthogonal step from stacked rows (OrthoGrad, arXiv 2503.02312, with K⁺ for QR).

    Needs memory for B×P numbers: meant for tests and small models. `metric` is the positive
    diagonal D, or how u gives it; None is the Euclidean metric.
    """
    parameters = trainable_parameters(model)
    u, forget_losses = weighted_gradient(model, losses, forget, forget_weights)
    scale = metric_at(metric, u, parameters)
    stacked, retain_losses = per_utterance_gradients(model, losses, retain)
    rows = split_rows(stacked, parameters)
    grams, products = {}, {}
    for name in parameters:
        inverse = scale[name].double().reciprocal().reshape(-1) if scale else 1.0
        # The sums behind K cancel when utterances are alike, so they are taken in float64.
        wide = rows[name].double()
        grams[name] = (wide * inverse) @ wide.T
        products[name] = wide @ (inverse * u[name].double().reshape(-1))
    projections = project_parameters(grams, products, scope, rtol=exact_cutoff(stacked.dtype))
    orthogonal = {}
    for name in parameters:
        correction = projections[name].coefficients @ rows[name].double()
        remainder = (u[name].double() - correction.view_as(u[name])).to(u[name])
        orthogonal[name] = remainder / scale[name] if scale else remainder
    return OrthogonalStep(
        forget=u,
        orthogonal=orthogonal,
        retain={name: rows[name].mean(0).view_as(u[name]) for name in parameters},
        forget_losses=forget_losses,
        retain_losses=retain_losses,
        kept=kept_fraction(u, orthogonal, scale),
        rank=ranks(projections, scope),
    )


def split_rows(
    rows: Float[Tensor, "B P"], parameters: dict[str, nn.Parameter]
) -> dict[str, Float[Tensor, "B p"]]:
    """The columns of each parameter."""
    sizes = [parameter.numel() for parameter in parameters.values()]
    return dict(zip(parameters, rows.split(sizes, dim=1), strict=True))

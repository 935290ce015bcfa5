"""Gradients of single utterances and their weighted sums, by plain autograd.

The slow and obvious way: what the streaming engine is compared with.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.step import Batch, Gradient, Losses, Weights


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter that requires a gradient, by name, shared ones once.

    Raises:
        ValueError: nothing is trainable.
    """
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError("the model has no trainable parameter: unfreeze what should unlearn")
    return parameters


def utterance_losses(losses: Losses[Batch], batch: Batch) -> Float[Tensor, "B"]:
    """The closure's losses, checked.

    Raises:
        ValueError: they are not a non-empty vector, or do not depend on a trainable parameter.
    """
    values = losses(batch)
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"losses must give one value per utterance, shape [B], not {tuple(values.shape)}"
        )
    if not values.requires_grad:
        raise ValueError("the losses do not depend on any trainable parameter (no_grad left on?)")
    return values


def resolve_weights(weights: Weights | None, losses: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """Weights as a vector on the losses' device; None is the mean.

    Raises:
        ValueError: not one weight per utterance.
    """
    if weights is None:
        return torch.full_like(losses, 1 / len(losses))
    values = weights(losses) if callable(weights) else weights
    if values.shape != losses.shape:
        raise ValueError(f"{tuple(values.shape)} weights for {len(losses)} utterances")
    return values.detach().to(losses)


def weighted_gradient(
    model: nn.Module, losses: Losses[Batch], batch: Batch, weights: Weights | None = None
) -> tuple[Gradient, Float[Tensor, "B"]]:
    """Σ wᵢ gᵢ in one backward pass, and the detached losses.

    A parameter the losses do not reach has a zero gradient. Nothing is written to `.grad`.
    """
    parameters = trainable_parameters(model)
    values = utterance_losses(losses, batch)
    detached = values.detach()
    gradients = torch.autograd.grad(
        values @ resolve_weights(weights, detached),
        list(parameters.values()),
        materialize_grads=True,
        allow_unused=True,
    )
    return dict(zip(parameters, gradients, strict=True)), detached


def per_utterance_gradients(
    model: nn.Module, losses: Losses[Batch], batch: Batch
) -> tuple[Float[Tensor, "B P"], Float[Tensor, "B"]]:
    """One flattened gradient per utterance, and the detached losses.

    One batched forward pass, then one backward pass per utterance. Columns follow
    `trainable_parameters`, each tensor flattened in row-major order.
    """
    parameters = list(trainable_parameters(model).values())
    values = utterance_losses(losses, batch)
    rows = values.new_zeros(
        len(values), sum(p.numel() for p in parameters), dtype=_widest(parameters)
    )
    for row, value in zip(rows, values, strict=True):
        gradients = torch.autograd.grad(
            value, parameters, retain_graph=True, materialize_grads=True, allow_unused=True
        )
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=row)
    return rows, values.detach()


def _widest(parameters: list[nn.Parameter]) -> torch.dtype:
    dtype = parameters[0].dtype
    for parameter in parameters[1:]:
        dtype = torch.promote_types(dtype, parameter.dtype)
    return dtype

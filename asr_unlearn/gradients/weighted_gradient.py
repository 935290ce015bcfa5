"""Weighted sums of per-utterance gradients, by one backward pass of autograd."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.types import (
    Batch,
    Gradient,
    Losses,
    MicroBatches,
    Weights,
    pieces_of,
    resolve_weights,
)
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.sharding import is_sharded, local_shard, own_gradients


def copied(parameters: Mapping[str, Tensor]) -> Gradient:
    """The values that parameters have now."""
    return {name: p.detach().clone() for name, p in parameters.items()}


def trainable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter that requires a gradient, by name, shared ones once.

    Of a sharded model (see `sharding`) those are this process's parts.

    Raises:
        InputError: nothing is trainable.
    """
    parameters = _trainable(model)
    if is_sharded(model):
        return {name: local_shard(p) for name, p in parameters.items()}
    return parameters


def _trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The model's own parameters, whole or spread."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise InputError("the model has no trainable parameter: unfreeze what should unlearn")
    return parameters


def utterance_losses(losses: Losses[Batch], batch: Batch) -> Float[Tensor, "B"]:
    """The losses of a batch, checked.

    Raises:
        InputError: they are not a non-empty vector, or do not depend on a trainable parameter.
    """
    values = losses(batch)
    if values.ndim != 1 or not len(values):
        raise InputError(
            f"losses must give one value per utterance, shape [B], not {tuple(values.shape)}"
        )
    if not values.requires_grad:
        raise InputError("the losses do not depend on any trainable parameter (no_grad left on?)")
    return values


def separate(gradients: Iterable[Tensor]) -> list[Tensor]:
    """Gradients that may be written to: contiguous, and no two in the same memory.

    Autograd gives a sum's operands one tensor, and the terms of `x.sum()` one expanded number.
    """
    found, taken = [], set()
    for gradient in gradients:
        own = gradient.contiguous()
        if own.data_ptr() in taken:
            own = own.clone()
        taken.add(own.data_ptr())
        found.append(own)
    return found


def weighted_gradient(
    model: nn.Module,
    losses: Losses[Batch],
    batch: Batch | MicroBatches[Batch],
    weights: Weights | None = None,
    *,
    group: ProcessGroup | None = None,
) -> tuple[Gradient, Float[Tensor, " B"]]:
    """Σ wᵢ gᵢ in one backward pass, or in one for each micro-batch; and the detached losses.

    With a `group` of processes the sum is over the utterances of all of them, and the losses are
    this process's own. Of a sharded model it is this process's part of the sum.

    A parameter that the losses do not depend on has a zero gradient. Nothing is written to `.grad`.
    Weights that depend on the losses of several micro-batches cost one more forward pass over each.
    """
    parameters = _trainable(model)
    processes = Processes(group)
    pieces = pieces_of(batch)
    shares = _shares(losses, pieces, processes.weights(weights))
    total: Gradient = {}
    seen = []
    for piece, share in zip(pieces, shares, strict=True):
        values = utterance_losses(losses, piece)
        seen.append(values.detach())
        loss = values @ resolve_weights(share, seen[-1])
        gradients = _gradients(model, loss, list(parameters.values()))
        for name, gradient in zip(parameters, separate(gradients), strict=True):
            total[name] = total[name].add_(gradient) if name in total else gradient
    # The backward pass of a sharded model sums over the processes itself.
    for gradient in total.values() if not is_sharded(model) else ():
        processes.summed(gradient)
    return total, torch.cat(seen)


def _gradients(
    model: nn.Module, loss: Float[Tensor, ""], parameters: Sequence[nn.Parameter]
) -> Sequence[Tensor]:
    """The gradient of each of the model's parameters; of a sharded model this process's parts."""
    if is_sharded(model):
        loss.backward()
        return own_gradients(parameters)
    return torch.autograd.grad(loss, parameters, materialize_grads=True, allow_unused=True)


def _shares(
    losses: Losses[Batch], pieces: Sequence[Batch], weights: Weights | None
) -> Sequence[Weights | None]:
    """The weights of each micro-batch's utterances."""
    if len(pieces) == 1:
        return [weights]
    with torch.no_grad():
        values = [losses(piece) for piece in pieces]
    return list(torch.split(resolve_weights(weights, torch.cat(values)), [len(v) for v in values]))

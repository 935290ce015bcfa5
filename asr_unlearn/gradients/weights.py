"""How much each utterance counts in a weighted gradient."""

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.types import Weights
from asr_unlearn.runtime.errors import InputError


def resolve_weights(weights: Weights | None, losses: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """Weights as a vector on the losses' device; None is the mean.

    Raises:
        ValueError: not one weight per utterance.
    """
    if weights is None:
        return torch.full_like(losses, 1 / len(losses))
    values = weights(losses) if callable(weights) else weights
    if values.shape != losses.shape:
        raise InputError(f"{tuple(values.shape)} weights for {len(losses)} utterances")
    return values.detach().to(losses)

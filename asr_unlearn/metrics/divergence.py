"""Distances between two models: of their losses, and of their output distributions."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from scipy.stats import wasserstein_distance
from torch import Tensor


def earth_mover(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Return the earth mover's distance between two distributions of losses, in nats."""
    return float(wasserstein_distance(losses, reference))


def divergences(
    reference: Float[Tensor, "B T V"], model: Float[Tensor, "B T V"], true: Bool[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    """Return KL(reference ‖ model) in nats, mean over each utterance's true frames or tokens.

    Args:
        reference, model: log-probabilities.
        true: False for padding.
    """
    each = (reference.exp() * (reference - model)).sum(-1)
    return each.masked_fill(~true, 0.0).sum(-1) / true.sum(-1)

"""How far two models lie apart, in their losses and in what they say frame by frame."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from scipy.stats import wasserstein_distance
from torch import Tensor


def earth_mover(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Earth mover's distance between two distributions of per-utterance losses, in nats."""
    return float(wasserstein_distance(losses, reference))


def divergences(
    reference: Float[Tensor, "B T V"], model: Float[Tensor, "B T V"], true: Bool[Tensor, "B T"]
) -> Float[Tensor, " B"]:
    """KL(reference ‖ model) in nats, mean over each utterance's true frames or tokens.

    Both are log-probabilities; padded frames count for nothing.
    """
    each = (reference.exp() * (reference - model)).sum(-1)
    return each.masked_fill(~true, 0.0).sum(-1) / true.sum(-1)

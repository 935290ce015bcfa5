"""Distances between two models: of their losses, and of their output distributions."""

from collections.abc import Sequence

from jaxtyping import Bool, Float
from scipy.stats import ks_2samp, wasserstein_distance
from torch import Tensor


def earth_mover(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Return the earth mover's distance between two distributions of losses, in nats."""
    return float(wasserstein_distance(losses, reference))


def kolmogorov_smirnov(losses: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the largest difference of the two distribution functions, and its p-value.

    The statistic is 0 for equal losses and 1 where all of one model are above all of the other. p
    is two-sided, of the test that takes every loss for independent; utterances of one speaker are
    not, so that it is too small, and only indicative.
    """
    found = ks_2samp(losses, reference)
    return float(found.statistic), float(found.pvalue)


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

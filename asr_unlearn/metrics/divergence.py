"""Distances between two models: of their losses, and of their output distributions."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import wasserstein_distance
from torch import Tensor

# Up to so many speakers, all ways to exchange the two models are compared; beyond that, so many
# random ones.
ALL_EXCHANGES, EXCHANGES = 11, 2000


def earth_mover(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Return the earth mover's distance between two distributions of losses, in nats."""
    return float(wasserstein_distance(losses, reference))


def kolmogorov_smirnov(
    losses: Sequence[float], reference: Sequence[float], speakers: Sequence[str]
) -> tuple[float, float]:
    """Return the largest difference of two models' distribution functions of losses, and its p.

    The statistic is 0 for equal losses and 1 where all of one model are above all of the other. p
    is the share of all ways to exchange the two models, speaker by speaker, that give as large a
    statistic. The usual p takes every loss for independent: utterances of one speaker are not,
    which makes it too small, and the two models have the same utterances, which makes it too large.

    Args:
        losses, reference: of the same utterances by the two models.
        speakers: of the utterances.
    """
    values = np.array([*losses, *reference])
    order = np.argsort(values, kind="stable")
    # Where the distribution functions have taken all equal losses.
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True))
    names, of = np.unique(np.array(speakers), return_inverse=True)
    steps = np.repeat([1.0, -1.0], len(losses)) / len(losses)
    speaker = np.tile(of, 2)[order]

    def statistic(signs: Float[np.ndarray, " s"]) -> float:
        return float(np.abs(np.cumsum(steps[order] * signs[speaker])[ends]).max())

    found = statistic(np.ones(len(names)))
    if len(names) <= ALL_EXCHANGES:
        exchanges = np.array(list(product([1.0, -1.0], repeat=len(names))))
    else:
        drawn = np.random.default_rng(0).choice([1.0, -1.0], size=(EXCHANGES, len(names)))
        # That of the models as they are is one of all.
        exchanges = np.concatenate([np.ones((1, len(names))), drawn])
    as_large = [statistic(signs) >= found - 1e-9 for signs in exchanges]
    return found, float(np.mean(as_large))


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

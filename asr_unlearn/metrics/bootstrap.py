"""Percentile intervals of a bootstrap that hold for a handful of speakers."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t


def percentile_interval(
    draws: Float[np.ndarray, " d"], groups: Sequence[int], *, level: float = 0.95
) -> tuple[float, float]:
    """The interval of a figure from its values on resampled speakers (Hesterberg, 2015).

    The plain percentiles are those of a normal distribution with the spread of the sample, and are
    too close for few: of seven speakers 95% intervals hold 86 times of 100. Here they are taken
    further out, as Student's t is, and by √(n/(n−1)) for a spread that is too small by as much.

    Args:
        groups: how many speakers each group has that was resampled by itself, two or more. All
            count as small as the smallest.
    """
    fewest = min(groups)
    freedom = len(groups) * (fewest - 1)
    reach = math.sqrt(fewest / (fewest - 1)) * float(t.ppf((1 + level) / 2, freedom))
    tail = float(norm.cdf(-reach))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)

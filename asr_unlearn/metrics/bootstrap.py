"""Bootstrap intervals over speakers, which hold for a handful of them."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

RESAMPLES = 2000


def percentile_interval(
    draws: Float[np.ndarray, " d"], groups: Sequence[int]
) -> tuple[float, float]:
    """The 95% interval of a figure from its values on resampled speakers (Hesterberg, 2015).

    The plain percentiles are those of a normal distribution with the spread of the sample, and are
    too close for few: of seven speakers 95% intervals hold 86 times of 100. Here they are taken
    further out, as Student's t is, and by √(n/(n−1)) for a spread that is too small by as much.

    Args:
        groups: how many speakers each group has that was resampled by itself, two or more. All
            count as small as the smallest.
    """
    fewest = min(groups)
    freedom = len(groups) * (fewest - 1)
    reach = math.sqrt(fewest / (fewest - 1)) * float(t.ppf(0.975, freedom))
    tail = float(norm.cdf(-reach))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def ratio_interval(
    above: Sequence[int] | Sequence[float],
    below: Sequence[int] | Sequence[float],
    speakers: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """The 95% interval of the ratio of two sums over utterances, such as errors over words.

    Speakers are drawn, not utterances: those of one speaker share what is hard about them (Bisani &
    Ney, ICASSP 2004). None with fewer than two speakers, where a bootstrap says nothing.
    """
    names = sorted(set(speakers))
    if len(names) < 2:
        return None
    index = {name: i for i, name in enumerate(names)}
    sums = np.zeros((len(names), 2))
    for over, under, speaker in zip(above, below, speakers, strict=True):
        sums[index[speaker]] += (over, under)
    rng = np.random.default_rng(seed)
    draws = sums[rng.integers(len(names), size=(resamples, len(names)))].sum(axis=1)
    return percentile_interval(draws[:, 0] / draws[:, 1], [len(names)])

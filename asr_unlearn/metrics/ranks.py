"""How likely a sum of ranks is by chance."""

import numpy as np


def rank_sum_chance(total: float, count: int, highest: int) -> float:
    """Return P(S ≥ total) for S the sum of `count` ranks, each evenly one of 0, 1, … `highest`.

    Exact, by adding one rank after the other to the distribution of S.
    """
    shares = np.ones(1)
    for _ in range(count):
        below = np.cumsum(np.pad(shares, (0, highest)))
        left = np.concatenate([np.zeros(highest + 1), below])[: len(below)]
        shares = (below - left) / (highest + 1)
    start = max(0, int(np.ceil(total)))
    return float(np.clip(shares[start:].sum(), 0.0, 1.0))

"""Distances between the losses of two models."""

import numpy as np
import pytest

from asr_unlearn.metrics.divergence import earth_mover, kolmogorov_smirnov


def test_earth_mover_of_a_shift_is_the_shift():
    losses = np.random.default_rng(0).exponential(size=100).tolist()
    assert earth_mover(losses, [loss + 0.7 for loss in losses]) == pytest.approx(0.7)


def test_the_largest_difference_of_two_distribution_functions():
    assert kolmogorov_smirnov([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == (0.0, 1.0)
    # All of one below all of the other: two of the 20 orders of three and three are as extreme.
    assert kolmogorov_smirnov([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) == pytest.approx((1.0, 0.1))
    # Up to 2 lie two thirds of the first and none of the second.
    assert kolmogorov_smirnov([1.0, 2.0, 5.0], [3.0, 4.0, 6.0])[0] == pytest.approx(2 / 3)


def test_p_is_uniform_for_losses_of_one_distribution_and_small_for_others():
    rng = np.random.default_rng(0)
    found = [kolmogorov_smirnov(*rng.exponential(size=(2, 80)).tolist())[1] for _ in range(200)]
    assert np.mean(np.array(found) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    assert 0.4 < np.mean(found) < 0.65
    losses, tripled = rng.exponential(size=80).tolist(), (3 * rng.exponential(size=80)).tolist()
    assert kolmogorov_smirnov(losses, tripled)[1] < 0.01

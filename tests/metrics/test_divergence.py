"""Distances between the losses of two models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.divergence import earth_mover, kolmogorov_smirnov


def test_earth_mover_of_a_shift_is_the_shift():
    losses = np.random.default_rng(0).exponential(size=100).tolist()
    assert earth_mover(losses, [loss + 0.7 for loss in losses]) == pytest.approx(0.7)


def test_the_largest_difference_of_two_distribution_functions():
    lowest, speakers = [1.0, 2.0, 3.0], ["a", "b", "c"]
    assert kolmogorov_smirnov(lowest, lowest, speakers) == (0.0, 1.0)
    # All of one below all of the other: of the eight exchanges of three speakers, this one and its
    # reverse are as extreme.
    assert kolmogorov_smirnov(lowest, [4.0, 5.0, 6.0], speakers) == pytest.approx((1, 0.25))
    # Up to 2 lie two thirds of the first and none of the second.
    found, _ = kolmogorov_smirnov([1.0, 2.0, 5.0], [3.0, 4.0, 6.0], speakers)
    assert found == pytest.approx(2 / 3)
    # Exchanging the only speaker exchanges the models.
    assert kolmogorov_smirnov(lowest, [4.0, 5.0, 6.0], ["a"] * 3) == (1.0, 1.0)


losses_of_two = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 9).map(float), min_size=n, max_size=n)] * 2)
)


@given(losses_of_two)
def test_the_statistic_is_the_largest_gap_between_the_distribution_functions(pair):
    one, other = map(np.array, pair)
    gaps = [abs((one <= value).mean() - (other <= value).mean()) for value in (*one, *other)]
    speakers = [str(number) for number in range(len(one))]
    assert kolmogorov_smirnov(*pair, speakers)[0] == pytest.approx(max(gaps))


def two_models(rng, factor):
    """Losses of sixteen speakers, five utterances each, by two models that err alike."""
    speakers = np.repeat(np.arange(16), 5)
    hard = rng.exponential(size=16)[speakers] * rng.exponential(size=80)
    one, other = hard * np.exp(0.3 * rng.normal(size=(2, 16)))[:, speakers]
    return one.tolist(), (factor * other).tolist(), [str(name) for name in speakers]


def test_p_is_right_for_models_that_differ_by_chance_and_small_for_others():
    """The usual p, of unrelated samples, is above 0.05 in all of the former."""
    rng = np.random.default_rng(0)
    alike = [kolmogorov_smirnov(*two_models(rng, 1.0))[1] for _ in range(200)]
    assert 0.01 < np.mean(np.array(alike) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    higher = [kolmogorov_smirnov(*two_models(rng, 1.5))[1] for _ in range(20)]
    assert np.mean(np.array(higher) <= 0.05) > 0.5

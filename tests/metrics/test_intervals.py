"""Intervals over a handful of speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.intervals import (
    percentile_interval,
    ratio_interval,
    signed_ratio_interval,
)

DRAWS = np.linspace(0, 1, 100_001)


def test_many_speakers_have_the_plain_percentiles():
    assert percentile_interval(DRAWS, [100_000]) == pytest.approx((0.025, 0.975), abs=1e-4)


def test_of_seven_as_hesterberg_has_it():
    """Φ(−√(7/6)·2.4469), 2.4469 being Student's t for 95% with six degrees of freedom."""
    assert percentile_interval(DRAWS, [7])[0] == pytest.approx(0.00411, abs=1e-5)


def test_of_two_groups_the_smaller_counts():
    """Φ(−√(7/6)·2.1788): twelve degrees of freedom."""
    assert percentile_interval(DRAWS, [7, 20])[0] == pytest.approx(0.00930, abs=1e-5)


@given(st.integers(2, 50), st.integers(1, 50))
def test_fewer_speakers_never_tell_more(few, more):
    low, high = percentile_interval(DRAWS, [few + more])
    wide = percentile_interval(DRAWS, [few])
    assert wide[0] <= low <= high <= wide[1]


@pytest.mark.parametrize("speakers", [3, 4, 5, 7, 20])
@pytest.mark.parametrize("rates", ["normal", "lognormal"])
def test_an_interval_holds_nearly_as_often_as_it_says(speakers, rates):
    """Percentiles of a bootstrap hold 72 times of 100 with three speakers."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(800):
        words = rng.integers(30, 200, size=speakers)
        spread = rng.normal(size=speakers)
        rate = 0.1 + 0.03 * spread if rates == "normal" else 0.06 * np.exp(0.5 * spread - 0.125)
        names = [str(i) for i in range(speakers)]
        low, high = ratio_interval((np.maximum(rate, 0) * words).tolist(), words.tolist(), names)
        covered.append(low <= (0.1 if rates == "normal" else 0.06) <= high)
    assert 0.90 <= np.mean(covered) <= 0.97


def test_the_interval_of_a_ratio_in_closed_form():
    """Ratio 1 / 2, residuals 1/2, 0 and -1/2 of six words; Student's t for two is 4.303."""
    above, below, names = [1.5, 1.0, 0.5], [2, 2, 2], ["a", "b", "c"]
    reach = 4.302653 * np.sqrt(3 / 2 * 0.5) / 6
    found = ratio_interval(above, below, names)
    assert found == pytest.approx((0.5 * np.exp(-2 * reach), 0.5 * np.exp(2 * reach)))
    assert signed_ratio_interval(above, below, names) == pytest.approx((0.5 - reach, 0.5 + reach))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9)), min_size=3, max_size=12))
def test_intervals_hold_their_ratio_and_follow_its_sign(pairs):
    above, below = map(list, zip(*pairs, strict=True))
    names = [str(i % 4) for i in range(len(pairs))]
    found = signed_ratio_interval(above, below, names)
    if found is None:
        return
    low, high = found
    assert low < sum(above) / sum(below) < high
    turned = signed_ratio_interval([-a for a in above], below, names)
    assert turned == pytest.approx((-high, -low))


def test_two_speakers_no_error_and_equal_rates_have_no_interval():
    assert ratio_interval([1, 2], [5, 5], ["a", "b"]) is None
    assert ratio_interval([0, 0, 0], [5, 5, 5], ["a", "b", "c"]) is None
    assert ratio_interval([1, 1, 1], [5, 5, 5], ["a", "b", "c"]) is None

"""The chance of a sum of ranks, against closed forms and against counting."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.ranks import rank_sum_chance


@pytest.mark.parametrize("total", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
def test_one_rank_is_even(total):
    assert rank_sum_chance(total, 1, 5) == pytest.approx((6 - total) / 6)


@given(count=st.integers(1, 4), highest=st.integers(1, 4), total=st.floats(-1, 20, allow_nan=False))
def test_it_is_the_share_of_all_outcomes(count, highest, total):
    sums = [sum(ranks) for ranks in product(range(highest + 1), repeat=count)]
    share = sum(one >= total for one in sums) / len(sums)
    assert rank_sum_chance(total, count, highest) == pytest.approx(share)


def test_many_ranks():
    """The middle of a distribution that is the same from both ends."""
    assert rank_sum_chance(3001 * 15 / 2, 3001, 15) == pytest.approx(0.5, abs=1e-9)
    assert rank_sum_chance(45_000.0, 3000, 15) == pytest.approx(0, abs=1e-9)

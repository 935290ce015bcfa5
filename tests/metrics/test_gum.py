"""GUM against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.gum import gum

GOLD = {"right_retrained": 0.9, "auc_original": 0.8, "auc_retrained": 0.5}
GOLD |= {"seconds_retrained": math.e**4 - 1}


def test_the_harmonic_mean_of_three_shares():
    # U = 0.45/0.9, E = 1 - 0.1/0.3, T = 1 - 1/4.
    found = gum(right=0.45, auc=0.6, seconds=math.e - 1, **GOLD)
    assert found == pytest.approx(3 / (1 / 0.5 + 1 / (2 / 3) + 1 / 0.75))


def test_like_the_retrained_model_in_no_time_is_one():
    assert gum(right=0.9, auc=0.5, seconds=0.0, **GOLD) == 1
    # More right than the retrained model is no more useful.
    assert gum(right=0.95, auc=0.5, seconds=0.0, **GOLD) == 1


@pytest.mark.parametrize(
    "worst", [{"right": 0.0}, {"auc": 0.8}, {"auc": 0.2}, {"seconds": math.e**4 - 1}]
)
def test_one_failure_cannot_be_made_up_for(worst):
    assert gum(**({"right": 0.9, "auc": 0.5, "seconds": 0.0} | worst), **GOLD) == pytest.approx(0)


@pytest.mark.parametrize(
    "alike", [{"auc_original": 0.5}, {"seconds_retrained": 0.0}, {"right_retrained": 0.0}]
)
def test_nothing_to_compare_with(alike):
    assert gum(right=0.9, auc=0.5, seconds=1.0, **(GOLD | alike)) is None


@given(st.floats(-1, 2), st.floats(0, 1), st.floats(0, 1e6))
def test_between_none_and_all(right, auc, seconds):
    assert 0 <= gum(right=right, auc=auc, seconds=seconds, **GOLD) <= 1

"""Intervals over a handful of speakers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.bootstrap import percentile_interval
from asr_unlearn.metrics.wer import Errors, speaker_interval

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


def test_with_seven_speakers_it_holds_as_often_as_it_says():
    """Plain percentiles hold 86 times of 100 here."""
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        lengths = rng.integers(30, 60, size=7)
        errors = rng.binomial(lengths, rng.beta(2, 8, size=7))
        counts = [Errors(int(e), int(n)) for e, n in zip(errors, lengths, strict=True)]
        low, high = speaker_interval(counts, [str(i) for i in range(7)], seed=trial)
        covered += low <= 0.2 <= high
    assert 0.91 <= covered / 300 <= 0.98

"""Error rates are jiwer's, and intervals over speakers behave."""

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.divergence import earth_mover
from asr_unlearn.metrics.gap import gap
from asr_unlearn.metrics.wer import Errors, count_errors, rate, speaker_interval

words = st.lists(st.sampled_from(["yes", "no", "stop", "go", "nine"]), min_size=1, max_size=8)
pairs = st.lists(st.tuples(words, words | st.just([])), min_size=1, max_size=12)


@given(pairs)
def test_pooled_rates_equal_jiwer(texts):
    references = [" ".join(r) for r, _ in texts]
    hypotheses = [" ".join(h) for _, h in texts]
    for unit, expected in (
        ("word", jiwer.wer(references, hypotheses)),
        ("character", jiwer.cer(references, hypotheses)),
    ):
        counts = [count_errors(r, h, unit) for r, h in zip(references, hypotheses, strict=True)]
        assert rate(counts) == pytest.approx(expected)


def test_golden_counts():
    assert count_errors("a b c d", "a x c", "word") == Errors(2, 4)
    assert count_errors("go", "", "word") == Errors(1, 1)
    with pytest.raises(ValueError, match="empty"):
        count_errors("  ", "yes", "word")


def test_interval_is_over_speakers():
    counts = [Errors(0, 10)] * 50 + [Errors(10, 10)] * 50
    few = speaker_interval(counts, ["a"] * 50 + ["b"] * 50)
    many = speaker_interval(counts, [f"s{i}" for i in range(100)])
    assert few == (0.0, 1.0)
    assert many[1] - many[0] < 0.25
    assert speaker_interval(counts, ["a"] * 100) is None


def test_interval_covers_at_its_nominal_rate():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        difficulty = rng.beta(4, 16, size=40)
        counts = [Errors(int(rng.binomial(60, d)), 60) for d in difficulty]
        low, high = speaker_interval(counts, [str(i) for i in range(40)], resamples=400, seed=trial)
        covered += low <= 0.2 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_gap_is_zero_and_tow_one_for_the_retrained_model_itself():
    figures = {f: {"forget": 0.3, "retain": 0.1, "test": 0.2} for f in ("wer", "cer", "loss")}
    same = gap(figures, figures)
    assert same["avg_d"] == 0.0
    assert same["tow"] == 1.0
    worse = {**figures, "wer": {"forget": 0.1, "retain": 0.2, "test": 0.2}}
    found = gap(worse, figures)
    assert found["wer"] == pytest.approx({"forget": -0.2, "retain": 0.1, "test": 0.0})
    assert found["avg_d"] == pytest.approx(0.1)
    assert found["tow"] == pytest.approx(0.8 * 0.9)


def test_earth_mover_of_a_shift_is_the_shift():
    losses = np.random.default_rng(0).exponential(size=100).tolist()
    assert earth_mover(losses, [loss + 0.7 for loss in losses]) == pytest.approx(0.7)

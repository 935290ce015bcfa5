"""Error rates are jiwer's, and intervals over speakers behave."""

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    few = speaker_interval(counts, [f"s{i % 50}" for i in range(100)])
    many = speaker_interval(counts, [f"s{i}" for i in range(100)])
    assert few is None  # every one has half of the words wrong
    assert many[1] - many[0] < 0.25
    three = speaker_interval(counts, ["a"] * 50 + ["b"] * 25 + ["c"] * 25)
    assert three[0] < 0.1 < 1 < three[1]
    assert speaker_interval(counts, ["a"] * 50 + ["b"] * 50) is None
    assert speaker_interval([Errors(0, 10)] * 9, [f"s{i}" for i in range(9)]) is None


def test_interval_covers_at_its_nominal_rate():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        difficulty = rng.beta(4, 16, size=40)
        counts = [Errors(int(rng.binomial(60, d)), 60) for d in difficulty]
        low, high = speaker_interval(counts, [str(i) for i in range(40)])
        covered += low <= 0.2 <= high
    assert 0.88 <= covered / 200 <= 0.99

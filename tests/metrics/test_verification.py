"""The equal error rate is that of closed forms, and trials are balanced, seeded, never twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from asr_unlearn.metrics.verification import (
    Trial,
    draw_trials,
    equal_error_rate,
    read_trials,
    verify,
)


@pytest.mark.parametrize(
    ("same", "different", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.9, 0.8], 1.0),
        ([0.5, 0.5], [0.5, 0.5], 0.5),
        # One of four misses and one of four false alarms at 0.5.
        ([0.9, 0.8, 0.7, 0.2], [0.1, 0.05, 0.15, 0.6], 0.25),
        # A threshold at 0.3 accepts 1 of 2 others; at 0.4 it misses 1 of 2.
        ([0.9, 0.35], [0.3, 0.5], 0.5),
    ],
)
def test_closed_forms(same, different, expected):
    scores = np.array([*same, *different])
    labels = np.array([True] * len(same) + [False] * len(different))
    assert equal_error_rate(scores, labels) == pytest.approx(expected)


def test_two_gaussians_meet_where_the_formula_says():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(2, 1, 20_000), rng.normal(0, 1, 20_000)])
    labels = np.repeat([True, False], 20_000)
    assert equal_error_rate(scores, labels) == pytest.approx(norm.cdf(-1), abs=0.005)


@given(
    st.lists(st.tuples(st.floats(-1, 1, width=16), st.booleans()), min_size=2, max_size=40).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_misses_and_false_alarms_are_equal(rows):
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = equal_error_rate(scores.astype(float), labels)
    thresholds = [*sorted(set(scores)), np.inf]
    misses = np.array([(scores[labels] < t).mean() for t in thresholds])
    alarms = np.array([(scores[~labels] >= t).mean() for t in thresholds])
    # No threshold has fewer of both, and none has more of both.
    assert np.minimum(misses, alarms).max() - 1e-9 <= found
    assert found <= np.maximum(misses, alarms).min() + 1e-9
    # The score's scale and offset say nothing.
    assert equal_error_rate(3 * scores.astype(float) + 7, labels) == pytest.approx(found)


def test_one_kind_of_trials_is_not_enough():
    with pytest.raises(ValueError, match="one speaker and of two"):
        equal_error_rate(np.array([0.1, 0.2]), np.array([True, True]))


def test_cosines_of_planted_speakers():
    embeddings = {"a0": [2.0, 0], "a1": [1.0, 0], "b0": [0, 3.0], "b1": [0.0, 1.0]}
    trials = [Trial(True, "a0", "a1"), Trial(True, "b0", "b1"), Trial(False, "a0", "b1")]
    found = verify({name: np.array(v) for name, v in embeddings.items()}, trials)
    assert (found.eer, found.trials) == (0.0, 3)
    assert (found.similarity_same, found.similarity_different) == (1.0, 0.0)


corpora = st.lists(st.integers(1, 30), min_size=2, max_size=8)


@given(corpora, st.integers(0, 5), st.integers(1, 50), st.booleans())
def test_trials_are_balanced_and_true(counts, seed, count, focused):
    speaker_of = {f"s{s}-{i}": f"s{s}" for s, n in enumerate(counts) for i in range(n)}
    about = {"s0"} if focused else None
    trials = draw_trials(speaker_of, seed=seed, about=about, count=count)
    assert trials == draw_trials(
        dict(reversed(speaker_of.items())), seed=seed, about=about, count=count
    )
    assert sum(t.same for t in trials) * 2 == len(trials) <= 2 * count
    assert len({frozenset((t.first, t.second)) for t in trials}) == len(trials)
    for trial in trials:
        pair = {speaker_of[trial.first], speaker_of[trial.second]}
        assert trial.first != trial.second
        assert trial.same == (len(pair) == 1)
        assert about is None or pair & about
    possible = counts[0] > 1 if focused else max(counts) > 1
    assert bool(trials) == possible


def test_trials_are_read(tmp_path):
    path = tmp_path / "trials.txt"
    path.write_text("1 a b\n\n0 a c\n")
    assert read_trials(path) == [Trial(True, "a", "b"), Trial(False, "a", "c")]
    path.write_text("1 a b\n2 a c\n")
    with pytest.raises(ValueError, match="line 2: expected"):
        read_trials(path)

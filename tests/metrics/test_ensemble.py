"""Distances between models that unlearned an utterance and models trained without it."""

import numpy as np
import pytest

from asr_unlearn.metrics.ensemble import forgetting_quality, klom

MODELS, UTTERANCES = 100, 300


def groups(difference, spread=1.0):
    """Statistics of models that unlearned, and of models without, each half for every utterance."""
    rng = np.random.default_rng(0)
    member = np.zeros((MODELS, UTTERANCES), dtype=bool)
    member[::2] = rng.random((MODELS // 2, UTTERANCES)) < 0.5
    member[1::2] = ~member[::2]
    one, other = rng.normal(size=(2, MODELS, UTTERANCES))
    return spread * one + difference, member, other, ~member


def test_klom_is_the_divergence_of_normal_distributions():
    """KL(N(0, 1) ‖ N(d, s²)) = log s + (1 + d²) / (2 s²) − 1/2."""
    assert klom(*groups(0.0)).mean() == pytest.approx(0, abs=0.05)
    assert klom(*groups(2.0)).mean() == pytest.approx(2.0, rel=0.05)
    expected = np.log(2) + (1 + 9) / 8 - 0.5
    assert klom(*groups(3.0, spread=2.0)).mean() == pytest.approx(expected, rel=0.05)


def test_with_few_models_all_utterances_share_a_spread():
    few = tuple(values[:8] for values in groups(2.0))
    # (mean difference)² / 2 of four models each: 4 / 2, and by chance another 1/4.
    assert klom(*few).mean() == pytest.approx(2.25, rel=0.1)


def test_two_models_that_are_equal_are_not_apart():
    same = np.zeros((2, 3))
    member = np.array([[True] * 3, [False] * 3])
    assert klom(same, member, same, ~member).tolist() == [0.0] * 3
    assert forgetting_quality(same, member, same, ~member) == 1.0


def test_forgetting_quality_by_hand():
    """Thresholds between 0 1 2 3 and 2 3 4 5: one in two above, none in two below, so log 2."""
    everyone = np.ones((4, 1), dtype=bool)
    one, other = np.array([[0.0], [1], [2], [3]]), np.array([[2.0], [3], [4], [5]])
    # At 3: a quarter of the first is above it, and a quarter of the others is below: log 3.
    for pair in ((one, other), (other, one)):
        found = forgetting_quality(pair[0], everyone, pair[1], everyone)
        assert found == 2 / 2 ** (np.floor(np.log(3) / 0.5) + 1)
    apart = forgetting_quality(one, everyone, other + 10, everyone)
    assert apart == 2 / 2**13
    assert forgetting_quality(one, everyone, one, everyone) == 2 / 2


def test_forgetting_quality_falls_with_the_distance():
    found = [forgetting_quality(*groups(difference)) for difference in (0.0, 1.0, 3.0, 20.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 2 / 2**13

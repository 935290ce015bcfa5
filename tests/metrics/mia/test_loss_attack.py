"""The attack by loss finds a leak, and nothing where nothing leaks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import loss_attack
from tests.support.observations import group, unseen


def test_guessing_where_nothing_leaks():
    rng = np.random.default_rng(0)
    attacks = [
        loss_attack(group(rng, rng.exponential(size=80)), unseen(rng, rng.exponential(size=90)))
        for _ in range(60)
    ]
    assert np.mean([a.auc for a in attacks]) == pytest.approx(0.5, abs=0.02)
    assert all(a.interval[0] <= a.auc <= a.interval[1] for a in attacks)


def speakers_with_scales(rng, count, name):
    """Six utterances each; speakers differ more than utterances do."""
    scales = np.repeat(rng.normal(size=count), 6)
    losses = np.exp(scales + 0.3 * rng.normal(size=6 * count))
    return group(rng, losses[np.arange(6 * count).reshape(count, 6).T.ravel()], count, name=name)


@pytest.mark.parametrize("speakers", [7, 30])
def test_the_interval_covers_at_its_nominal_rate_where_speakers_differ(speakers):
    """Resampling utterances instead of speakers would cover half as often."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = loss_attack(
            speakers_with_scales(rng, speakers, "s"), speakers_with_scales(rng, speakers, "u")
        ).interval
        covered += low <= 0.5 <= high
    assert 0.89 <= covered / 100 <= 0.99


@given(st.integers(0, 999))
def test_the_area_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    members = group(rng, rng.integers(0, 6, size=20))
    others = unseen(rng, rng.integers(1, 8, size=20))
    truth = [1] * 20 + [0] * 20
    scores = [-o.loss for o in members + others]
    assert loss_attack(members, others).auc == pytest.approx(roc_auc_score(truth, scores))

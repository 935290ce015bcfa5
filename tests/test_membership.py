"""The attack finds a planted leak, finds nothing where nothing is, and says how sure it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.membership import Observation, loss_attack, matched


def group(rng, losses, speakers=8, seconds=None):
    lengths = rng.uniform(1, 10, len(losses)) if seconds is None else seconds
    return [
        Observation(f"s{i % speakers}", float(loss), float(length), int(5 * length) + 1)
        for i, (loss, length) in enumerate(zip(losses, lengths, strict=True))
    ]


def test_guessing_where_nothing_leaks_and_the_interval_covers():
    rng = np.random.default_rng(0)
    attacks = [
        loss_attack(group(rng, rng.exponential(size=80)), group(rng, rng.exponential(size=90)))
        for _ in range(60)
    ]
    assert np.mean([a.auc for a in attacks]) == pytest.approx(0.5, abs=0.02)
    covered = np.mean([a.interval[0] <= 0.5 <= a.interval[1] for a in attacks])
    assert covered >= 0.8


def test_a_planted_leak_is_found():
    rng = np.random.default_rng(0)
    members = group(rng, rng.exponential(0.01, size=150))
    others = group(rng, 0.5 + rng.exponential(size=150))
    attack = loss_attack(members, others)
    assert attack.auc == 1.0
    assert attack.interval == (1.0, 1.0)
    assert attack.true_positives == 1.0
    assert attack.pairs == 150


@given(st.integers(0, 999))
def test_the_area_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    members = group(rng, rng.integers(0, 6, size=20))
    others = group(rng, rng.integers(1, 8, size=20))
    truth = [1] * 20 + [0] * 20
    scores = [-o.loss for o in members + others]
    assert loss_attack(members, others).auc == pytest.approx(roc_auc_score(truth, scores))


def test_length_alone_gives_nobody_away():
    """Members are short and loss grows with length: unmatched, that would look like a leak."""
    rng = np.random.default_rng(0)
    short, all_lengths = rng.uniform(1, 3, 100), rng.uniform(1, 10, 1000)
    members = group(rng, short + rng.normal(0, 0.3, 100), seconds=short)
    others = group(rng, all_lengths + rng.normal(0, 0.3, 1000), seconds=all_lengths)
    naive = roc_auc_score([1] * 100 + [0] * 1000, [-o.loss for o in members + others])
    assert naive > 0.85
    assert loss_attack(members, others).auc == pytest.approx(0.5, abs=0.05)
    a, b = matched(members, others)
    assert len(a) == len(b) == 100
    assert np.mean([x.seconds for x in a]) == pytest.approx(
        np.mean([x.seconds for x in b]), abs=0.1
    )


def test_what_a_sample_is_too_small_for_is_left_out():
    rng = np.random.default_rng(0)
    attack = loss_attack(group(rng, [0.1, 0.2], speakers=1), group(rng, [1.0, 2.0]))
    assert attack.interval is None
    assert attack.true_positives is None
    with pytest.raises(ValueError, match="members and others"):
        loss_attack([], group(rng, [1.0]))

"""Matched groups have the same lengths."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import length_auc, loss_attack, matched
from tests.support.observations import group, unseen


def test_length_alone_gives_nobody_away():
    """Members are short and loss grows with length: unmatched, that would look like a leak."""
    rng = np.random.default_rng(0)
    short, all_lengths = rng.uniform(1, 3, 100), rng.uniform(1, 10, 1000)
    members = group(rng, short + rng.normal(0, 0.3, 100), seconds=short)
    others = unseen(rng, all_lengths + rng.normal(0, 0.3, 1000), seconds=all_lengths)
    naive = roc_auc_score([1] * 100 + [0] * 1000, [-o.loss for o in members + others])
    assert naive > 0.85
    a, b = matched(members, others)
    assert loss_attack(a, b).auc == pytest.approx(0.5, abs=0.05)
    assert len(a) == len(b) == 100
    assert np.mean([x.seconds for x in a]) == pytest.approx(
        np.mean([x.seconds for x in b]), abs=0.1
    )


def test_what_is_left_of_a_difference_in_lengths_is_reported():
    """Groups of equal size are paired as they are, however long."""
    rng = np.random.default_rng(0)
    members = group(rng, np.ones(60), seconds=rng.uniform(6, 12, 60))
    others = unseen(rng, np.ones(60), seconds=rng.uniform(2, 6, 60))
    assert length_auc(*matched(members, others)) > 0.98
    more = unseen(rng, np.ones(900), seconds=rng.uniform(2, 12, 900))
    assert length_auc(*matched(members, more)) == pytest.approx(0.5, abs=0.06)

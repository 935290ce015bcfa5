"""Matched groups have the same lengths."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import loss_attack, matched
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

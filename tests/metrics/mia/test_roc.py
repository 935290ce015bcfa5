"""True positive rates at few false positives are counted exactly."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import attack_by_scores
from tests.support.observations import group, unseen


def test_rates_at_few_false_alarms_need_enough_others():
    rng = np.random.default_rng(0)
    members, others = group(rng, np.zeros(50)), unseen(rng, np.zeros(1000))
    scores = np.arange(50.0), np.arange(1000.0) - 950.5
    # The member with the score i is below the 49 − i others whose score is higher, and counts as
    # one more of 1001.
    attack = attack_by_scores(members, others, *scores)
    assert attack.tpr_at_1_percent_fpr == pytest.approx(10 / 50)
    assert attack.tpr_at_0_1_percent_fpr == pytest.approx(1 / 50)
    fewer = attack_by_scores(members, others[:999], scores[0], scores[1][:999])
    assert fewer.tpr_at_0_1_percent_fpr is None
    assert fewer.tpr_at_1_percent_fpr is not None


def test_a_threshold_accepts_all_that_have_the_same_score():
    """Three members in ten and 18 of 1000 others tie at the top: no threshold separates them."""
    rng = np.random.default_rng(0)
    members, others = group(rng, np.zeros(100)), unseen(rng, np.zeros(1000))
    scores = np.repeat([1.0, 0.0], [30, 70]), np.repeat([1.0, 0.0], [18, 982])
    attack = attack_by_scores(members, others, *scores)
    assert attack.tpr_at_1_percent_fpr == attack.tpr_at_0_1_percent_fpr == 0
    truth, scored = np.repeat([1, 0], [100, 1000]), np.concatenate(scores)
    assert attack.auc == pytest.approx(roc_auc_score(truth, scored))


@pytest.mark.parametrize("others", [100, 150, 199, 1000])
def test_by_chance_no_more_is_found_than_the_rate_says(others):
    rng = np.random.default_rng(0)
    members, unlike = group(rng, np.zeros(200)), unseen(rng, np.zeros(others))
    found = [
        attack_by_scores(members, unlike, rng.normal(size=200), rng.normal(size=others))
        for _ in range(150)
    ]
    assert np.mean([attack.tpr_at_1_percent_fpr for attack in found]) < 0.0125

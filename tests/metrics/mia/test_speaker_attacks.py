"""Attacks on speakers: all utterances of each together, and a permutation test over speakers."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import (
    KnownUnlearning,
    attack_by_scores,
    classifier_attack,
    informed_attack,
    loss_attack,
    speakers,
)
from tests.support.observations import group, unseen


def attacked(means, others, each=1, noise=0.0, seed=0):
    """The attack on speakers whose utterances have these mean scores."""
    rng = np.random.default_rng(seed)
    inside, outside = (
        group(rng, np.zeros(len(m) * each), len(m), name=name)
        for m, name in ((means, "s"), (others, "u"))
    )
    scores = (np.tile(m, each) + noise * rng.normal(size=len(m) * each) for m in (means, others))
    return attack_by_scores(inside, outside, *scores).speakers


def test_three_against_three_have_twenty_choices_of_members():
    found = attacked([5.0, 4.0, 3.0], [2.0, 1.0, 0.0])
    assert (found.auc, found.p) == (1.0, 1 / 20)
    # One of nine pairs is lost by the choice {5, 4, 2} as by this one; two choices are as good.
    found = attacked([5.0, 4.0, 2.0], [3.0, 1.0, 0.0])
    assert found.auc == pytest.approx(8 / 9)
    assert found.p == pytest.approx(2 / 20)
    assert attacked([2.0, 1.0, 0.0], [5.0, 4.0, 3.0]).p == 1.0


def test_p_is_the_exact_p_of_the_rank_sum_test():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(0.5, 1, size=5), rng.normal(size=7)
        found = attacked(a, b)
        expected = mannwhitneyu(a, b, alternative="greater", method="exact")
        assert found.p == pytest.approx(expected.pvalue)
        assert found.auc == pytest.approx(expected.statistic / 35)


def test_ties_are_half_a_win():
    a, b = [2.0, 1.0, 1.0], [1.0, 0.0]
    found = attacked(a, b)
    assert found.auc == pytest.approx(roc_auc_score([1, 1, 1, 0, 0], a + b))
    by_hand = []
    for chosen in combinations(range(5), 3):
        truth = [i in chosen for i in range(5)]
        by_hand.append(roc_auc_score(truth, a + b) >= found.auc - 1e-12)
    assert found.p == pytest.approx(np.mean(by_hand))


def test_a_speaker_counts_once_however_many_utterances_there_are():
    """Utterances of one speaker alone would separate the groups far below p = 0.05."""
    means, others = [3.0, -1.0, 0.5], [0.0, 1.0, -0.5]
    one, many = attacked(means, others), attacked(means, others, each=50, noise=0.1)
    assert one == many
    assert one.p > 0.3


def test_many_speakers_are_permuted_at_random_to_the_same_p(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.6, 1, size=8), rng.normal(size=8)
    exact = attacked(a, b)
    monkeypatch.setattr(speakers, "ALL_CHOICES", 0)
    drawn = attacked(a, b)
    assert drawn.auc == exact.auc
    assert drawn.p == pytest.approx(exact.p, abs=0.02)
    assert drawn == attacked(a, b)
    assert attacked(range(100, 140), range(40)).p == pytest.approx(1 / 2001)


def test_p_is_uniform_where_nothing_leaks_and_speakers_differ():
    rng = np.random.default_rng(0)

    def drawn(name):
        scales = np.exp(rng.normal(size=5))
        return group(rng, np.tile(scales, 6) * rng.exponential(size=30), 5, name=name)

    found = [loss_attack(drawn("s"), drawn("u")).speakers for _ in range(200)]
    p = np.array([each.p for each in found])
    assert np.mean([each.auc for each in found]) == pytest.approx(0.5, abs=0.04)
    # An exact test is right at most as often as it says; four standard deviations are allowed.
    for level in (0.05, 0.25, 0.5):
        allowed = 4 * np.sqrt(level * (1 - level) / len(p))
        assert level - 0.1 - allowed < (p <= level).mean() < level + allowed


def test_a_planted_leak_is_found_by_every_attack_on_speakers():
    rng = np.random.default_rng(0)
    members = group(rng, rng.exponential(0.01, size=80))
    others = unseen(rng, 0.5 + rng.exponential(size=80))
    known = [KnownUnlearning(members[:40], others)]
    for attack in (
        loss_attack(members, others),
        classifier_attack(members, others),
        informed_attack(known, members, others),
    ):
        assert attack.speakers.auc == pytest.approx(1.0, abs=0.01)
        assert attack.speakers.p < 0.01


def test_a_speaker_in_both_groups_is_no_member_and_no_other():
    rng = np.random.default_rng(0)
    members, others = group(rng, np.ones(8)), group(rng, np.ones(8))
    assert loss_attack(members, others).speakers is None
    assert loss_attack(members, others).auc == 0.5

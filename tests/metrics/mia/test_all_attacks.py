"""What holds for all attacks: a planted leak is found, and small samples give no figure."""

from dataclasses import replace

import numpy as np
import pytest

from asr_unlearn.metrics.mia import (
    KnownUnlearning,
    classifier_attack,
    informed_attack,
    loss_attack,
    matched,
)
from tests.support.observations import group, unseen


def test_a_planted_leak_is_found_by_every_attack():
    rng = np.random.default_rng(0)
    members = group(rng, rng.exponential(0.01, size=150))
    others = unseen(rng, 0.5 + rng.exponential(size=150))
    known = [KnownUnlearning(members[:40], others)]
    for attack in (
        loss_attack(members, others),
        classifier_attack(members, others),
        informed_attack(known, members, others),
    ):
        assert attack.auc == pytest.approx(1.0, abs=0.01)
        assert attack.interval is None or attack.interval[0] > 0.98
    assert loss_attack(members, others).tpr_at_1_percent_fpr == 1.0


@pytest.mark.parametrize("shared", range(5))
def test_members_and_others_may_share_some_of_few_speakers(shared):
    """As where a class is forgotten, and its held-out utterances are of speakers of both."""
    rng = np.random.default_rng(shared)
    members = group(rng, rng.exponential(size=30), speakers=5)
    others = unseen(rng, rng.exponential(size=30), speakers=4)
    others = [
        replace(o, speaker=f"s{o.speaker[1:]}") if int(o.speaker[1:]) < shared else o
        for o in others
    ]
    attack = classifier_attack(members, others)
    assert attack is not None
    assert 0 < attack.auc < 1


def test_what_a_sample_is_too_small_for_is_left_out():
    rng = np.random.default_rng(0)
    members, others = group(rng, [0.1, 0.2], speakers=1), unseen(rng, [1.0, 2.0])
    attack = loss_attack(members, others)
    assert attack.interval is None
    assert attack.tpr_at_1_percent_fpr is None
    assert classifier_attack(members, others) is None
    assert informed_attack([KnownUnlearning(members, others)], members, others[:1]) is None
    with pytest.raises(ValueError, match="members and non-members"):
        matched([], unseen(rng, [1.0]))


def test_trained_attacks_find_nothing_in_noise():
    """On average 0.5 also with few speakers, where pooled folds would come out below."""
    rng = np.random.default_rng(0)
    found = {"classifier": [], "informed": []}
    for _ in range(4):
        draws = rng.exponential(size=(4, 60))
        members, others = group(rng, draws[0], 6), unseen(rng, draws[1], speakers=6)
        found["classifier"].append(classifier_attack(members, others))
        known = [KnownUnlearning(group(rng, draws[2], name="k"), unseen(rng, draws[3], speakers=6))]
        found["informed"].append(informed_attack(known, members, others))
    for attacks in found.values():
        assert np.mean([a.auc for a in attacks]) == pytest.approx(0.5, abs=0.07)
    assert sum(a.interval[0] <= 0.5 <= a.interval[1] for a in found["informed"]) >= 3


def test_of_speakers_in_both_groups_nothing_is_found_in_noise():
    """Where classes are forgotten, members and others have the same speakers."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(6):
        voices = rng.normal(size=7)
        losses = np.exp(np.tile(voices, 12) + 0.1 * rng.normal(size=(2, 84)))
        members, others = (group(rng, own, speakers=7) for own in losses)
        found.append((classifier_attack(members, others), loss_attack(members, others)))
    # Folds of their own for each group would give 0.35.
    assert np.mean([one.auc for one, _ in found]) == pytest.approx(0.5, abs=0.07)
    for _, attack in found:
        low, high = attack.interval
        # Resampled apart, speakers would spread the AUC by more than 0.4.
        assert low <= attack.auc <= high < low + 0.25

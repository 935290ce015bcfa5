"""Attacks find a planted leak, find nothing where nothing is, and say how sure they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from asr_unlearn.metrics.mia import (
    Known,
    Observation,
    attack_by_scores,
    classifier_attack,
    informed_attack,
    likelihood_ratios,
    loss_attack,
    matched,
    relative_ratios,
)


def group(rng, losses, speakers=8, seconds=None, name="s", doubt=None):
    """Utterances with these losses; how sure the model is of them says no more than the loss."""
    lengths = rng.uniform(1, 10, len(losses)) if seconds is None else seconds
    doubts = 1 - np.exp(-np.abs(losses)) if doubt is None else doubt
    return [
        Observation(
            id=f"{name}{i}",
            speaker=f"{name}{i % speakers}",
            loss=float(abs(loss)),
            seconds=float(length),
            labels=int(5 * length) + 1,
            confidence=float(1 - d),
            entropy=float(2 * d),
            error_rate=float(d > 0.5),
        )
        for i, (loss, length, d) in enumerate(zip(losses, lengths, doubts, strict=True))
    ]


def strangers(rng, losses, **options):
    return group(rng, losses, name="u", **options)


def test_guessing_where_nothing_leaks():
    rng = np.random.default_rng(0)
    attacks = [
        loss_attack(group(rng, rng.exponential(size=80)), strangers(rng, rng.exponential(size=90)))
        for _ in range(60)
    ]
    assert np.mean([a.auc for a in attacks]) == pytest.approx(0.5, abs=0.02)
    assert all(a.interval[0] <= a.auc <= a.interval[1] for a in attacks)


def speakers_with_levels(rng, count, name):
    """Six utterances each; speakers differ more than utterances do."""
    levels = np.repeat(rng.normal(size=count), 6)
    losses = np.exp(levels + 0.3 * rng.normal(size=6 * count))
    return group(rng, losses[np.arange(6 * count).reshape(count, 6).T.ravel()], count, name=name)


def test_the_interval_covers_at_its_nominal_rate_where_speakers_differ():
    """Resampling utterances instead of speakers would cover half as often."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = loss_attack(
            speakers_with_levels(rng, 30, "s"), speakers_with_levels(rng, 30, "u")
        ).interval
        covered += low <= 0.5 <= high
    assert 0.89 <= covered / 100 <= 0.99


def test_a_planted_leak_is_found_by_every_attack():
    rng = np.random.default_rng(0)
    members = group(rng, rng.exponential(0.01, size=150))
    others = strangers(rng, 0.5 + rng.exponential(size=150))
    known = [Known(members[:40], others)]
    for attack in (
        loss_attack(members, others),
        classifier_attack(members, others),
        informed_attack(known, members, others),
    ):
        assert attack.auc == pytest.approx(1.0, abs=0.01)
        assert attack.interval[0] > 0.98
    assert loss_attack(members, others).tpr_at_1_percent == 1.0


@given(st.integers(0, 999))
def test_the_area_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    members = group(rng, rng.integers(0, 6, size=20))
    others = strangers(rng, rng.integers(1, 8, size=20))
    truth = [1] * 20 + [0] * 20
    scores = [-o.loss for o in members + others]
    assert loss_attack(members, others).auc == pytest.approx(roc_auc_score(truth, scores))


def test_length_alone_gives_nobody_away():
    """Members are short and loss grows with length: unmatched, that would look like a leak."""
    rng = np.random.default_rng(0)
    short, all_lengths = rng.uniform(1, 3, 100), rng.uniform(1, 10, 1000)
    members = group(rng, short + rng.normal(0, 0.3, 100), seconds=short)
    others = strangers(rng, all_lengths + rng.normal(0, 0.3, 1000), seconds=all_lengths)
    naive = roc_auc_score([1] * 100 + [0] * 1000, [-o.loss for o in members + others])
    assert naive > 0.85
    a, b = matched(members, others)
    assert loss_attack(a, b).auc == pytest.approx(0.5, abs=0.05)
    assert len(a) == len(b) == 100
    assert np.mean([x.seconds for x in a]) == pytest.approx(
        np.mean([x.seconds for x in b]), abs=0.1
    )


def test_what_a_sample_is_too_small_for_is_left_out():
    rng = np.random.default_rng(0)
    members, others = group(rng, [0.1, 0.2], speakers=1), strangers(rng, [1.0, 2.0])
    attack = loss_attack(members, others)
    assert attack.interval is None
    assert attack.tpr_at_1_percent is None
    assert classifier_attack(members, others) is None
    assert informed_attack([Known(members, others)], members, others[:1]) is None
    with pytest.raises(ValueError, match="members and others"):
        matched([], strangers(rng, [1.0]))


def test_rates_at_few_false_alarms_need_enough_others():
    rng = np.random.default_rng(0)
    members, others = group(rng, np.zeros(50)), strangers(rng, np.zeros(1000))
    scores = np.arange(50.0), np.arange(1000.0) - 950.5
    # The member with the score i is below the 49 − i others whose score is higher.
    attack = attack_by_scores(members, others, *scores)
    assert attack.tpr_at_1_percent == pytest.approx(11 / 50)
    assert attack.tpr_at_0_1_percent == pytest.approx(2 / 50)
    fewer = attack_by_scores(members, others[:999], scores[0], scores[1][:999])
    assert fewer.tpr_at_0_1_percent is None
    assert fewer.tpr_at_1_percent is not None


def test_who_is_accused_is_accused_with_all_that_score_the_same():
    """Three members in ten and 18 of 1000 others are all at the top: one cannot be had without."""
    rng = np.random.default_rng(0)
    members, others = group(rng, np.zeros(100)), strangers(rng, np.zeros(1000))
    scores = np.repeat([1.0, 0.0], [30, 70]), np.repeat([1.0, 0.0], [18, 982])
    attack = attack_by_scores(members, others, *scores)
    assert attack.tpr_at_1_percent == attack.tpr_at_0_1_percent == 0
    truth, scored = np.repeat([1, 0], [100, 1000]), np.concatenate(scores)
    assert attack.auc == pytest.approx(roc_auc_score(truth, scored))


def test_attackers_who_learn_find_nothing_in_noise():
    """On average 0.5 also with few speakers, where pooled folds would come out below."""
    rng = np.random.default_rng(0)
    found = {"classifier": [], "informed": []}
    for _ in range(4):
        draws = rng.exponential(size=(4, 60))
        members, others = group(rng, draws[0], 6), strangers(rng, draws[1], speakers=6)
        found["classifier"].append(classifier_attack(members, others))
        known = [Known(group(rng, draws[2], name="k"), strangers(rng, draws[3], speakers=6))]
        found["informed"].append(informed_attack(known, members, others))
    for attacks in found.values():
        assert np.mean([a.auc for a in attacks]) == pytest.approx(0.5, abs=0.07)
    assert sum(a.interval[0] <= 0.5 <= a.interval[1] for a in found["informed"]) >= 3


def spiked(rng, count):
    """Losses at the very level of a stranger's median, as a rule that ends there leaves them."""
    return np.median(rng.exponential(size=2000)) * (1 + 0.01 * rng.normal(size=count))


def test_an_informed_attacker_finds_a_spike_that_the_loss_does_not_show():
    rng = np.random.default_rng(0)
    members, others = group(rng, spiked(rng, 90)), strangers(rng, rng.exponential(size=90))
    known = [
        Known(group(rng, spiked(rng, 80), name=f"k{k}"), strangers(rng, rng.exponential(size=90)))
        for k in range(2)
    ]
    assert loss_attack(members, others).auc == pytest.approx(0.5, abs=0.06)
    informed = informed_attack(known, members, others)
    assert informed.auc > 0.9
    assert informed.interval[0] > 0.85


def test_an_informed_attacker_is_never_asked_about_strangers_he_has_learned_from():
    """Each stranger has losses of their own, the same in all models: to know them is to win."""
    rng = np.random.default_rng(0)
    levels = np.geomspace(0.01, 10, 12)
    others = strangers(rng, np.tile(levels, 8), speakers=12)
    known = [Known(group(rng, np.geomspace(0.01, 10, 96)), others)]
    members = group(rng, np.geomspace(0.011, 9, 96))
    assert informed_attack(known, members, others).auc < 0.7


def test_lira_is_the_best_there_is_on_gaussians():
    """φ is normal with each utterance's own mean, one higher in the models trained on it."""
    rng = np.random.default_rng(0)
    utterances, models, gain = 4000, 40, 2.0
    difficulty = 5 * rng.normal(size=utterances)
    member = np.zeros((models, utterances), dtype=bool)
    for row in range(0, models, 2):
        member[row] = rng.random(utterances) < 0.5
        member[row + 1] = ~member[row]
    truth = rng.random(utterances) < 0.5

    def losses(inside):
        phi = difficulty + gain * inside + rng.normal(size=inside.shape)
        return np.log1p(np.exp(-phi))

    target, shadows = losses(truth), losses(member)
    best = norm.cdf(gain / np.sqrt(2))
    assert roc_auc_score(truth, -target) < 0.65
    lira = roc_auc_score(truth, likelihood_ratios(target, shadows, member))
    assert lira == pytest.approx(best, abs=0.015)
    everything = np.ones((utterances, utterances), dtype=bool)
    rmia = roc_auc_score(truth, relative_ratios(target, shadows, everything))
    assert 0.65 < rmia <= best + 0.015


def test_lira_on_two_utterances_by_hand():
    """φ: 2 and 0 in, 0 and −2 out; the spread of all four is √2, freedom one each."""
    phi = np.array([[2.0, -2.0], [0.0, 0.0], [0.0, 0.0], [-2.0, 2.0]])
    member = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    target = np.array([1.0, -1.0])
    to_loss = lambda x: np.log1p(np.exp(-x))  # noqa: E731
    found = likelihood_ratios(to_loss(target), to_loss(phi), member)
    # First: mean 1 in and −1 out, the same spread: ((1+1)² − 0) / (2·2) = 1; second the reverse
    # of it: mean 1 in, −1 out, and φ is −1.
    assert found == pytest.approx([1.0, -1.0])
    with pytest.raises(ValueError, match="in some shadow models"):
        likelihood_ratios(to_loss(target), to_loss(phi), np.ones_like(member))


def test_rmia_by_hand():
    """Ratios e, 1 and e^-2 of three utterances; the first two have the same speaker."""
    losses, shadows = np.array([0.0, 1.0, 3.0]), np.ones((2, 3))
    comparable = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]], dtype=bool)
    assert relative_ratios(losses, shadows, comparable).tolist() == [1.0, 1.0, 0.0]
    # The second is as hard to everybody as it is to the model, and the third is easy.
    shadows = np.array([[1.0, 3.5, 0.5]] * 2)
    found = relative_ratios(losses, shadows, ~np.eye(3, dtype=bool))
    assert found.tolist() == [0.5, 1.0, 0.0]
    with pytest.raises(ValueError, match="to be compared with"):
        relative_ratios(losses, shadows, np.zeros_like(comparable))

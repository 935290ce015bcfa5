"""The informed attack finds traces of a method, and does not recognise unseen speakers."""

import numpy as np
import pytest

from asr_unlearn.metrics.mia import KnownUnlearning, informed_attack, loss_attack
from tests.support.observations import group, unseen


def spiked(rng, count):
    """Losses close to the median of unseen speakers, as a stop target leaves them."""
    return np.median(rng.exponential(size=2000)) * (1 + 0.01 * rng.normal(size=count))


def test_an_informed_attack_finds_a_spike_that_the_loss_does_not_show():
    rng = np.random.default_rng(0)
    members, others = group(rng, spiked(rng, 90)), unseen(rng, rng.exponential(size=90))
    known = [
        KnownUnlearning(
            group(rng, spiked(rng, 80), name=f"k{k}"), unseen(rng, rng.exponential(size=90))
        )
        for k in range(2)
    ]
    assert loss_attack(members, others).auc == pytest.approx(0.5, abs=0.06)
    informed = informed_attack(known, members, others)
    assert informed.auc > 0.9
    assert informed.interval[0] > 0.85


def test_an_informed_attack_is_not_trained_on_the_unseen_speakers_it_attacks():
    """Each unseen speaker has the same loss in all models: training on them would win."""
    rng = np.random.default_rng(0)
    scales = np.geomspace(0.01, 10, 12)
    others = unseen(rng, np.tile(scales, 8), speakers=12)
    known = [KnownUnlearning(group(rng, np.geomspace(0.01, 10, 96)), others)]
    members = group(rng, np.geomspace(0.011, 9, 96))
    assert informed_attack(known, members, others).auc < 0.7

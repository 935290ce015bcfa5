"""The probe is at chance on noise, at its ceiling on voices, and sees a voice that was erased."""

import numpy as np
import pytest

from asr_unlearn.metrics.speaker_probe import probe

SPEAKERS = [f"s{i}" for i in range(8) for _ in range(16)]
FORGET = {"s0", "s1"}


def voices(seed=0, spread=0.3):
    rng = np.random.default_rng(seed)
    centres = {name: rng.normal(size=12) for name in sorted(set(SPEAKERS))}
    return np.stack([centres[s] + spread * rng.normal(size=12) for s in SPEAKERS])


def test_noise_says_nothing():
    states = np.random.default_rng(0).normal(size=(len(SPEAKERS), 12))
    found = probe(states, SPEAKERS, FORGET)
    assert found.chance == 1 / 8
    assert found.retain == pytest.approx(1 / 8, abs=0.1)
    assert found.forget == pytest.approx(1 / 8, abs=0.2)
    low, high = found.retain_interval
    assert low <= found.retain <= high


def test_voices_are_distinguished():
    found = probe(voices(), SPEAKERS, FORGET)
    assert found.forget > 0.95
    assert found.retain > 0.95
    # Where nobody is mistaken, there is nothing to tell how speakers differ.
    assert (found.retain_interval is None) == (found.retain == 1)


def test_an_erased_voice_is_no_longer_distinguished():
    states = voices()
    rng = np.random.default_rng(1)
    for index, speaker in enumerate(SPEAKERS):
        if speaker in FORGET:
            states[index] = rng.normal(size=12)
    found = probe(states, SPEAKERS, FORGET)
    assert found.forget < 0.5
    assert found.retain > 0.85


def test_the_order_of_the_utterances_does_not_matter_to_voices():
    order = np.random.default_rng(2).permutation(len(SPEAKERS))
    found = probe(voices()[order], [SPEAKERS[i] for i in order], FORGET)
    assert found.forget > 0.95


def test_too_few_utterances_of_a_speaker_are_left_out():
    speakers = [*SPEAKERS, "rare"]
    states = np.concatenate([voices(), np.zeros((1, 12))])
    assert probe(states, speakers, FORGET).chance == 1 / 8
    assert probe(states, speakers, {"rare"}) is None
    assert probe(states, speakers, set(SPEAKERS)) is None

"""What training changes about utterances: what it must keep, and that the seed decides alone."""

import math
from dataclasses import replace

import pytest
import torch

from asr_unlearn.data.augmentation import Crop, PolarityAndShift, Speeds
from asr_unlearn.data.batching import Example
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.targets import check_targets
from asr_unlearn.models.tasks import CTC

TARGET = torch.tensor([0])


def example(wave):
    return Example("a", wave, len(wave), TARGET)


@pytest.mark.parametrize("change", [PolarityAndShift(), Speeds((0.8, 0.9, 1.1)), Crop(1000, 7)])
def test_the_seed_decides_alone(change):
    wave = torch.randn(2000)
    drawn = [change(example(wave), [1, 2, seed]).input for seed in range(10)]
    again = [change(example(wave), [1, 2, seed]).input for seed in range(10)]
    assert all(map(torch.equal, drawn, again))
    assert any(a.shape != b.shape or not torch.equal(a, b) for a in drawn for b in drawn)


def test_polarity_and_shift_keep_every_sample():
    wave = torch.randn(2000)
    changed = PolarityAndShift()(example(wave), [1, 2, 3])
    torch.testing.assert_close(changed.input.abs().sort().values, wave.abs().sort().values)
    assert changed.samples == 2000


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1, 2.0])
def test_a_faster_tone_is_shorter_and_higher(factor):
    """A tone of 500 Hz becomes one of 500 Hz times the factor, as loud as before."""
    seconds = 1.0
    time = torch.arange(int(16_000 * seconds)) / 16_000
    changed = Speeds((factor,))(example(torch.sin(2 * math.pi * 500 * time)), [0])
    assert changed.samples == len(changed.input) == math.ceil(16_000 * seconds / factor)
    expected = torch.sin(2 * math.pi * 500 * factor * time[: changed.samples])
    inner = slice(200, len(expected) - 200)
    torch.testing.assert_close(changed.input[inner], expected[inner], atol=0.02, rtol=0)


def test_all_speeds_are_drawn():
    lengths = {Speeds((0.9, 1, 1.1))(example(torch.randn(990)), [s]).samples for s in range(30)}
    assert lengths == {900, 990, 1100}


@pytest.mark.parametrize("speeds", [(), (0.1,), (1, math.nan)])
def test_speeds_that_are_none_are_refused(speeds):
    with pytest.raises(ValueError, match=r"between 0\.5 and 2"):
        Speeds(speeds)


@pytest.mark.parametrize("change", [PolarityAndShift(), Speeds((0.9,))])
def test_features_cannot_be_changed(change):
    with pytest.raises(ValueError, match="given features"):
        change(Example("a", torch.zeros(7, 3), 1000, TARGET), [0])


@pytest.mark.parametrize("length", [30, 100])
def test_a_crop_is_a_piece_or_the_whole_again_and_again(length):
    wave = Example("a", torch.arange(float(length)), length, torch.tensor([0]))
    features = Example("a", torch.arange(float(length))[:, None], 160 * length, torch.tensor([0]))
    crop = Crop(samples=50, frames=7)
    starts = set()
    for seed in range(20):
        piece = crop(wave, [seed])
        assert piece.samples == len(piece.input) == 50
        assert torch.equal(piece.input[1:], (piece.input[:-1] + 1) % length)
        starts.add(float(piece.input[0]))
        assert crop(features, [seed]).input.shape == (7, 1)
    assert len(starts) == 1 if length == 30 else len(starts) > 5
    assert torch.equal(crop(wave, [1]).input, crop(wave, [1]).input)


def test_a_transcript_must_fit_its_utterance_at_the_fastest_speed(corpus, tiny_config):
    utterances = read_manifest(corpus / "manifest.jsonl")[:1]
    task = CTC(*model_from_config(str(tiny_config), alphabet_of(utterances), 0))
    room = int(task.frames(torch.tensor([round(utterances[0].seconds * 16_000)])))
    long = replace(utterances[0], text=("AB" * room)[: round(0.9 * room)])
    check_targets(task, [long])
    with pytest.raises(ValueError, match=r"1\.5 times as fast, have no room"):
        check_targets(task, [long], fastest=1.5)

"""Noise in the recordings of some speakers: what it changes, and that it can be taken off again."""

import numpy as np
import pytest

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest
from asr_unlearn.data.planted_noise import PlantedNoise, level_of
from asr_unlearn.runtime.errors import InputError
from data_prep import planted_noise
from tests.support.recordings import record

SPEAKERS = ("anna", "béa/1")


@pytest.fixture
def corpus(tmp_path):
    """Two utterances of each of two speakers, and a list with the second."""
    utterances = []
    for number, speaker in enumerate(SPEAKERS * 2):
        path = record(tmp_path / f"{number}.wav", 1 + number / 10, seed=number)
        name = f"{speaker}-{number}"
        utterances.append(Utterance(id=name, audio=path, speaker=speaker, seconds=0, text="HI"))
    write_manifest(tmp_path / "manifest.jsonl", utterances)
    (tmp_path / "forget.txt").write_text(f"{SPEAKERS[1]}\n", encoding="utf-8")
    return tmp_path


def plant(corpus, *flags):
    given = ["--manifest", corpus / "manifest.jsonl", "--speakers", corpus / "forget.txt"]
    return planted_noise.main([*map(str, given), "--out", str(corpus / "planted.jsonl"), *flags])


def by_id(path):
    return {utterance.id: utterance for utterance in read_manifest(path)}


def test_the_recordings_of_the_speakers_alone_get_noise(corpus):
    assert plant(corpus, "--snr", "10", "--seed", "3") == 0
    before, after = by_id(corpus / "manifest.jsonl"), by_id(corpus / "planted.jsonl")
    noise = PlantedNoise.read(corpus / "planted.noise.json")
    assert after.keys() == before.keys()
    assert noise.levels.keys() == {name for name in before if name.startswith(SPEAKERS[1])}
    for name, utterance in after.items():
        old, new = load_audio(before[name].audio), load_audio(utterance.audio)
        if name not in noise.levels:
            assert utterance.audio == before[name].audio
            continue
        planted = noise.noise(name, len(old))
        assert np.allclose(new - planted, old, atol=1e-7)
        ratio = np.mean(old.astype(float) ** 2) / np.mean(planted.astype(float) ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(10, abs=0.1)
        assert not utterance.audio.samefile(before[name].audio)


def test_the_same_seed_gives_the_same_recordings(corpus):
    plant(corpus)
    first = {path.name: path.read_bytes() for path in (corpus / "planted.audio").iterdir()}
    plant(corpus)
    again = {path.name: path.read_bytes() for path in (corpus / "planted.audio").iterdir()}
    plant(corpus, "--seed", "1")
    other = {path.name: path.read_bytes() for path in (corpus / "planted.audio").iterdir()}
    assert len(first) == 2
    assert first == again
    assert all(first[name] != content for name, content in other.items())


def test_other_noise_is_as_loud_and_unlike():
    noise = PlantedNoise(0, {"a": 0.5, "b": 0.5})
    draws = [noise.noise("a", 50_000, draw) for draw in range(3)] + [noise.noise("b", 50_000)]
    assert [np.std(one) for one in draws] == pytest.approx([0.5] * 4, rel=0.02)
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.02


def test_level_of_a_sine():
    wave = np.sin(np.linspace(0, 200 * np.pi, 100_001)).astype(np.float32)
    assert level_of(wave, 20) == pytest.approx(0.5**0.5 / 10, rel=1e-3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--snr", "nan"], "--snr nan"),
        (["--snr", "90"], "--snr 90: give -20 to 60 dB"),
        (["--out", "manifest.jsonl"], "is read by this command"),
    ],
)
def test_what_cannot_be_planted(corpus, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(corpus)
    assert plant(corpus, *flags) == 2
    assert message in capsys.readouterr().err
    assert not (corpus / "planted.audio").exists()


def test_an_unknown_speaker(corpus, capsys):
    (corpus / "forget.txt").write_text("anny\n", encoding="utf-8")
    assert plant(corpus) == 2
    assert "unknown speaker 'anny'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["{}", '{"seed": 0, "levels": []}', '{"seed": [], "levels": {}}']
)
def test_a_file_that_is_another(tmp_path, content):
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is not what"):
        PlantedNoise.read(tmp_path / "x.json")

"""The synthesised corpus: the same bits for a seed, distinct voices, a layout others can read."""

import hashlib
import shutil
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.manifest import read_manifest
from data_prep import librispeech, synthetic
from data_prep.espeak import Espeak, Voice


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "corpus"
    synthetic.synthesise(root, speakers=3, sentences=4, seed=5)
    return root


def test_a_seed_gives_the_same_bits(corpus: Path, tmp_path: Path) -> None:
    time.sleep(1.1)  # left to itself, espeak seeds its noise with the second of the day
    synthetic.synthesise(tmp_path / "again", speakers=3, sentences=4, seed=5, workers=1)
    assert digests(tmp_path / "again") == digests(corpus)


def test_what_was_interrupted_is_completed(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(corpus, root)
    gone, stays = (root / "train-synthetic" / speaker for speaker in ("102", "101"))
    shutil.rmtree(gone)
    (root / "SPEAKERS.TXT").unlink()
    (root / ".102.partial" / "1").mkdir(parents=True)
    before = {path: path.stat().st_mtime_ns for path in stays.rglob("*")}
    synthetic.synthesise(root, speakers=3, sentences=4, seed=5)
    assert digests(root) == digests(corpus)
    assert {path: path.stat().st_mtime_ns for path in stays.rglob("*")} == before


def test_another_corpus_is_not_mixed_in(corpus: Path, tmp_path: Path) -> None:
    before = digests(corpus)
    with pytest.raises(FileExistsError, match="another corpus"):
        synthetic.synthesise(corpus, speakers=3, sentences=4, seed=6)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        synthetic.synthesise(tmp_path, speakers=3, sentences=4, seed=5)
    assert digests(corpus) == before
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.txt"]


def test_the_layout_is_librispeechs(corpus: Path) -> None:
    found = list(librispeech.scan(corpus))
    planned = synthetic.plan_speakers(3, 4, 5)
    assert [u.text for u in found] == [s.upper() for p in planned for s in p.sentences]
    assert [u.speaker for u in found] == [p.id for p in planned for _ in p.sentences]
    rows = (corpus / "SPEAKERS.TXT").read_text().splitlines()[1:]
    assert [row.split("|")[0].strip() for row in rows] == [p.id for p in planned]
    for utterance in found:
        info = soundfile.info(str(utterance.audio))
        assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_16", SAMPLE_RATE)
        samples = load_audio(utterance.audio)
        assert 1.0 < len(samples) / SAMPLE_RATE < 5.0
        assert 0.25 < np.abs(samples).max() < 0.95


def test_the_command_writes_a_clean_manifest(tmp_path: Path) -> None:
    out = tmp_path / "exp" / "manifest.jsonl"
    flags = ["--speakers", "2", "--sentences", "2", "--seed", "1", "--strict"]
    arguments = ["--data", str(tmp_path / "data"), "--out", str(out), *flags]
    assert synthetic.main(arguments) == 0
    first = out.read_bytes()
    assert synthetic.main(arguments) == 0
    assert out.read_bytes() == first
    assert len(read_manifest(out)) == 4


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32), speakers=st.integers(2, 40), sentences=st.integers(1, 25))
def test_no_sentence_is_said_twice(seed: int, speakers: int, sentences: int) -> None:
    planned = synthetic.plan_speakers(speakers, sentences, seed)
    said = [sentence for speaker in planned for sentence in speaker.sentences]
    assert len(said) == len(set(said)) == speakers * sentences
    assert all(3 <= len(sentence.split()) <= 7 for sentence in said)
    assert len({speaker.voice for speaker in planned}) == speakers
    assert planned[:-1] == synthetic.plan_speakers(speakers - 1, sentences, seed)


def test_the_vocabulary_is_small_and_all_used() -> None:
    words = [word for kind in synthetic.WORDS.values() for word in kind.split()]
    assert 40 <= len(set(words)) == len(words) <= 60
    planned = synthetic.plan_speakers(24, 20, 0)
    assert {w for p in planned for s in p.sentences for w in s.split()} == set(words)


def envelope(samples: np.ndarray) -> np.ndarray:
    """Mean log spectrum in 60 Hz steps up to 7.7 kHz, level removed: a voice's average colour."""
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), 1024)[::512]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(1024)))).mean(axis=0)
    bands = np.log10(power[: 128 * 3 - 24].reshape(-1, 3).mean(axis=1) + 1.0)
    return np.asarray(bands - bands.mean())


def test_voices_differ_more_than_repetitions_of_one() -> None:
    espeak = Espeak()
    spoken = {
        variant: [
            envelope(
                espeak.speak(
                    "the old farmer follows my happy dog",
                    Voice("en-us", variant, pitch=50, pitch_range=50, rate=150),
                )
            )
            for _ in range(2)
        ]
        for variant, _ in synthetic.VOICES
    }

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(one - other))))

    within = max(distance(*pair) for pair in spoken.values())
    between = min(distance(a[0], b[0]) for a, b in combinations(spoken.values(), 2))
    assert between > 2 * within


def test_an_unknown_voice_is_an_error() -> None:
    espeak = Espeak()
    for accent, variant in (("en-us", "unknown"), ("klingonese", "f3")):
        with pytest.raises(ValueError, match="espeak-ng has no"):
            espeak.speak("hello", Voice(accent, variant, 50, 50, 150))


def test_the_room_keeps_the_speech_audible() -> None:
    speech = np.sin(2 * np.pi * 300 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    recorded = synthetic.room(speech, np.random.default_rng(0))
    assert recorded.dtype == np.float32
    assert len(recorded) > len(speech)
    assert 0.3 <= np.abs(recorded).max() <= 0.9
    assert np.abs(np.fft.rfft(recorded, n=2 * SAMPLE_RATE)).argmax() == pytest.approx(600, abs=2)
    other = synthetic.room(speech, np.random.default_rng(1))
    assert len(other) != len(recorded)

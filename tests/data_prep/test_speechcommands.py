"""Speech Commands' layout: who is in which set, which words are classes, and silence."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE, load_audio
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from data_prep import speechcommands

# Speakers of the published lists: validation_list.txt, testing_list.txt, and neither.
DEV, TEST, TRAIN = "026290a7", "bb05582b", "0132a06d"
WORDS = {"down", "eight", "five", "go", "left", "one", "right", "up", "zero"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four words by three speakers, of whom one says them twice, and two kinds of noise."""
    root, rng = tmp_path / "corpus", np.random.default_rng(0)
    for word in ("go", "left", "up", "zero"):
        (root / word).mkdir(parents=True)
        for speaker, count in ((DEV, 1), (TEST, 1), (TRAIN, 2)):
            for number in range(count):
                wave = rng.normal(scale=0.1, size=SAMPLE_RATE)
                soundfile.write(root / word / f"{speaker}_nohash_{number}.wav", wave, SAMPLE_RATE)
    (root / "_background_noise_").mkdir()
    (root / "_background_noise_" / "README.md").write_text("noise")
    for name in ("tap", "wind"):
        path = root / "_background_noise_" / f"{name}.wav"
        soundfile.write(path, rng.normal(scale=0.1, size=30 * SAMPLE_RATE), SAMPLE_RATE)
    return root


def prepared(corpus: Path, out: Path, *flags: str):
    argv = ["--data", str(corpus), "--out", str(out / "manifest.jsonl"), "--strict", *flags]
    assert speechcommands.main(argv) == 0
    return read_manifest(out / "manifest.jsonl")


def test_the_sets_are_those_of_the_published_rule(corpus: Path, tmp_path: Path) -> None:
    found = prepared(corpus, tmp_path)
    assert len(found) == 16
    assert {u.speaker: u.subset for u in found} == {DEV: "dev", TEST: "test", TRAIN: "train"}
    assert all(u.text == u.label == u.audio.parent.name for u in found)
    assert {u.id for u in found if u.speaker == DEV} == {
        f"{word}/{DEV}_nohash_0" for word in ("go", "left", "up", "zero")
    }


def test_lists_go_before_the_rule(corpus: Path) -> None:
    (corpus / "validation_list.txt").write_text(f"go/{TRAIN}_nohash_0.wav\n")
    with pytest.raises(ValueError, match=r"no testing_list\.txt beside the other list"):
        list(speechcommands.scan(corpus))
    (corpus / "testing_list.txt").write_text(f"up/{DEV}_nohash_0.wav\n")
    subsets = {u.id: u.subset for u in speechcommands.scan(corpus)}
    assert subsets.pop(f"go/{TRAIN}_nohash_0") == "dev"
    assert subsets.pop(f"up/{DEV}_nohash_0") == "test"
    assert set(subsets.values()) == {"train"}


def test_words_unknown_and_silence(corpus: Path, tmp_path: Path) -> None:
    flags = ("--words", "go,up", "--unknown", "0.5", "--silence", "0.5")
    found = prepared(corpus, tmp_path, *flags)
    counts = Counter((u.label, u.subset) for u in found)
    kept = {("go", "train"): 2, ("go", "dev"): 1, ("go", "test"): 1}
    kept |= {("up", subset): count for (_, subset), count in kept.items()}
    # Half of 4 training clips, and of the 2 of either other set; then half of what there is.
    drawn = {("_unknown_", "train"): 2, ("_unknown_", "dev"): 1, ("_unknown_", "test"): 1}
    cut = {("_silence_", "train"): 3, ("_silence_", "dev"): 2, ("_silence_", "test"): 2}
    assert counts == kept | drawn | cut
    assert {u.text for u in found if u.label == "_unknown_"} <= {"left", "zero"}
    silent = [u for u in found if u.label == "_silence_"]
    assert all(u.text is None and u.seconds == 1 for u in silent)
    assert all(u.audio.is_relative_to(tmp_path / "_silence_") for u in silent)
    again = prepared(corpus, tmp_path / "again", *flags)
    assert [u.id for u in again] == [u.id for u in found]
    for one, other in zip(silent, [u for u in again if u.label == "_silence_"], strict=True):
        assert np.array_equal(load_audio(one.audio), load_audio(other.audio))
    other = prepared(corpus, tmp_path / "other", *flags, "--seed", "1")
    waves = {u.id: load_audio(u.audio) for u in other if u.label == "_silence_"}
    assert not any(np.array_equal(load_audio(u.audio), waves[u.id]) for u in silent)


def test_silence_of_one_set_is_in_no_other(corpus: Path, tmp_path: Path) -> None:
    counts = {"train": 40, "dev": 40, "test": 40}
    noises = corpus / "_background_noise_"
    cut = list(speechcommands.cut_silence(noises, tmp_path / "cut", counts, seed=0))
    assert Counter(u.subset for u in cut) == counts
    ends = {"train": (0, 24), "dev": (24, 27), "test": (27, 30)}
    whole = {path.stem: load_audio(path) for path in noises.glob("*.wav")}
    for utterance in cut:
        _, name, subset = utterance.speaker.split("/")
        wave = load_audio(utterance.audio)
        start = next(
            i
            for i in np.flatnonzero(np.isclose(whole[name], wave[0], atol=1e-6))
            if np.allclose(whole[name][i : i + len(wave)], wave, atol=1e-4)
        )
        low, high = ends[subset]
        assert low * SAMPLE_RATE <= start <= high * SAMPLE_RATE - len(wave)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--words", "go,stop"], "no word stop; there are go, left, up, zero"),
        (["--unknown", "0.1"], "--unknown needs --words"),
        (["--md5", "x=1", "--download"], "names none of"),
    ],
)
def test_mistakes_are_explained(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    complaint: str,
) -> None:
    argv = ["--data", str(corpus), "--out", str(tmp_path / "m.jsonl"), *flags]
    assert speechcommands.main(argv) == 2
    assert complaint in capsys.readouterr().err


def test_folders_without_words_or_noise_are_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder WORD with clips SPEAKER_nohash_N"):
        list(speechcommands.scan(tmp_path / "empty"))
    shutil.rmtree(corpus / "_background_noise_")
    with pytest.raises(FileNotFoundError, match="--silence: no recordings in"):
        list(speechcommands.cut_silence(corpus / "_background_noise_", tmp_path, {"train": 1}, 0))


def test_the_real_clips_are_whole(shared_data: Path) -> None:
    found = list(speechcommands.scan(shared_data / "speech_commands"))
    assert len(found) == 3096
    assert len({u.speaker for u in found}) == 167
    assert {u.label for u in found} == WORDS
    # None of the corpus' test speakers is among them: some are drawn.
    assert Counter(u.subset for u in found) == {"train": 2814, "dev": 282}
    split = make_split(found, [found[0].speaker])
    assert set(split.parts["unseen"]) == {u.id for u in found if u.subset == "dev"}
    assert split.parts["test"]

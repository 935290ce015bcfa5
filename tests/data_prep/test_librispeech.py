"""LibriSpeech's layout: subsets, formats, and recordings and transcripts that lack each other."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import read_manifest
from data_prep import librispeech


def record(root: Path, subset: str, speaker: str, number: int, suffix: str = ".flac") -> Path:
    chapter = root / subset / speaker / "7"
    chapter.mkdir(parents=True, exist_ok=True)
    name = f"{speaker}-7-{number:04d}"
    noise = np.random.default_rng(number).normal(scale=0.1, size=SAMPLE_RATE)
    subtype = "OPUS" if suffix == ".opus" else None
    kind = "OGG" if suffix == ".opus" else None
    soundfile.write(chapter / (name + suffix), noise, SAMPLE_RATE, subtype, format=kind)
    with (chapter / f"{speaker}-7.trans.txt").open("a") as lines:
        lines.write(f"{name} HELLO  WORLD\n")
    return chapter


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "data" / "LibriSpeech"
    record(root, "train-clean-5", "19", 0, ".flac")
    record(root, "train-clean-5", "19", 1, ".opus")
    record(root, "train-other-500", "26", 0, ".wav")
    record(root, "dev-clean-2", "84", 0)
    record(root, "test-clean", "61", 0)
    (root / "SPEAKERS.TXT").write_text("")
    return root


def test_development_sets_are_left_out_unless_named(corpus: Path) -> None:
    found = [(u.id, u.speaker, u.subset, u.text) for u in librispeech.scan(corpus.parent)]
    assert found == [
        ("61-7-0000", "61", "test", "HELLO WORLD"),
        ("19-7-0000", "19", "train", "HELLO WORLD"),
        ("19-7-0001", "19", "train", "HELLO WORLD"),
        ("26-7-0000", "26", "train", "HELLO WORLD"),
    ]
    assert [u.subset for u in librispeech.scan(corpus, ["dev-clean-2"])] == ["dev"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(corpus: Path) -> None:
    for path in corpus.rglob("*.trans.txt"):
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert {u.text for u in librispeech.scan(corpus)} == {"HELLO WORLD"}


def test_every_format_decodes(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "manifest.jsonl"
    assert librispeech.main(["--data", str(corpus), "--out", str(out), "--strict"]) == 0
    assert {u.audio.suffix for u in read_manifest(out)} == {".flac", ".opus", ".wav"}


def test_lonely_recordings_and_transcripts_are_named(corpus: Path, tmp_path: Path) -> None:
    chapter = corpus / "test-clean" / "61" / "7"
    (chapter / "61-7-0000.flac").rename(chapter / "61-7-0009.flac")
    out = tmp_path / "manifest.jsonl"
    assert librispeech.main(["--data", str(corpus), "--out", str(out)]) == 0
    problems = json.loads((tmp_path / "manifest.problems.json").read_text())["problems"]
    assert {(p["id"], p["reason"]) for p in problems} == {
        ("61-7-0000", "missing audio"),
        ("61-7-0009", "empty transcript"),
    }


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--subsets", "train-clean-9"], "no subset train-clean-9; present are"),
        (["--subsets", "test-clean,train-clean-9"], "no subset train-clean-9; present are"),
        (["--download"], "--download needs --subsets"),
        (["--download", "--subsets", "train-clean-9"], "no archive is known for"),
        (["--download", "--subsets", "dev-clean", "--md5", "x=1"], "--md5 ['x'] names none"),
    ],
)
def test_mistakes_are_explained(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    complaint: str,
) -> None:
    out = tmp_path / "m.jsonl"
    assert librispeech.main(["--data", str(corpus), "--out", str(out), *flags]) == 2
    assert complaint in capsys.readouterr().err
    assert not out.exists()


def test_the_real_mini_corpus_is_whole(shared_data: Path) -> None:
    found = list(librispeech.scan(shared_data))
    assert len(found) == 1519
    assert len({u.speaker for u in found}) == 28
    assert len({word for u in found for word in (u.text or "").split()}) == 7230
    assert {u.subset for u in found} == {"train"}
    assert all(u.audio.is_file() for u in found)

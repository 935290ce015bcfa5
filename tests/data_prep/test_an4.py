"""AN4 in its own layout: both audio formats, both transcript conventions, nothing lost."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.manifest import read_manifest
from data_prep import an4

PCM = np.arange(-8000, 8000, dtype=np.int16)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two utterances as the archive has them, big-endian `.raw`."""
    root = tmp_path / "an4"
    for subset, file, line in (
        ("train", "an4_clstk/fash/an251-fash-b", "<s> YES  NO </s> (an251-fash-b)"),
        ("test", "an4test_clstk/fcaw/an406-fcaw-b", "RUBOUT G (an406-fcaw-b)"),
    ):
        audio = root / "wav" / f"{file}.raw"
        audio.parent.mkdir(parents=True)
        audio.write_bytes(PCM.astype(">i2").tobytes())
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / f"an4_{subset}.fileids").write_text(file + "\n")
        (root / "etc" / f"an4_{subset}.transcription").write_text(line + "\n")
    return root


def test_transcripts_speakers_and_subsets(corpus: Path) -> None:
    found = [(u.id, u.speaker, u.text, u.subset, u.audio.suffix) for u in an4.scan(corpus)]
    assert found == [
        ("an251-fash-b", "fash", "YES NO", "train", ".raw"),
        ("an406-fcaw-b", "fcaw", "RUBOUT G", "test", ".raw"),
    ]
    assert list(an4.scan(corpus.parent)) == list(an4.scan(corpus))
    audio = load_audio(next(an4.scan(corpus)).audio)
    np.testing.assert_array_equal(audio, (PCM / 2**15).astype(np.float32))


def test_a_local_archive_is_extracted_beside_itself(corpus: Path, tmp_path: Path) -> None:
    archive = tmp_path / "store" / "an4_raw.bigendian.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(corpus, "an4")
    out = tmp_path / "exp" / "manifest.jsonl"
    assert an4.main(["--data", str(archive), "--out", str(out)]) == 0
    kept = read_manifest(out)
    assert [u.seconds for u in kept] == [1.0, 1.0]
    assert all(u.audio.is_relative_to(archive.parent / "an4") for u in kept)


def test_what_is_listed_only_once_is_named(corpus: Path, tmp_path: Path) -> None:
    etc = corpus / "etc"
    with (etc / "an4_train.fileids").open("a") as lines:
        lines.write("an4_clstk/fash/an999-fash-b\n")
    with (etc / "an4_train.transcription").open("a") as lines:
        lines.write("<s> LOST </s> (an888-fash-b)\n")
    out = tmp_path / "manifest.jsonl"
    assert an4.main(["--data", str(corpus), "--out", str(out)]) == 0
    problems = json.loads((tmp_path / "manifest.problems.json").read_text())["problems"]
    assert [(p["id"], p["reason"]) for p in problems] == [
        ("an999-fash-b", "empty transcript"),
        ("an888-fash-b", "missing audio"),
    ]
    assert "not listed in an4_train.fileids" in problems[1]["detail"]


def test_a_transcript_without_an_id_is_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "etc" / "an4_test.transcription").write_text("RUBOUT G\n")
    assert an4.main(["--data", str(corpus), "--out", str(tmp_path / "m.jsonl")]) == 2
    assert "an4_test.transcription, line 1" in capsys.readouterr().err


def test_a_missing_recording_is_named_with_the_suffixes_that_were_tried(
    corpus: Path, tmp_path: Path
) -> None:
    next(corpus.rglob("an251-fash-b.raw")).unlink()
    assert an4.main(["--data", str(corpus), "--out", str(tmp_path / "manifest.jsonl")]) == 0
    problems = json.loads((tmp_path / "manifest.problems.json").read_text())["problems"]
    assert [p["reason"] for p in problems] == ["missing audio"]
    assert problems[0]["detail"].endswith("an251-fash-b{.raw,.sph,.flac,.wav}")


def test_a_folder_that_is_not_an4_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert an4.main(["--data", str(tmp_path), "--out", str(tmp_path / "m.jsonl")]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_download_needs_a_checksum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "m.jsonl")
    assert an4.main(["--data", str(tmp_path), "--out", out, "--download"]) == 2
    assert "--no-checksum" in capsys.readouterr().err


def test_the_real_corpus_is_whole(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "manifest.jsonl"
    assert an4.main(["--data", str(shared_data / "an4"), "--out", str(out), "--strict"]) == 0
    kept = read_manifest(out)
    for subset, utterances, speakers, hours in (("train", 948, 74, 0.71), ("test", 130, 10, 0.10)):
        part = [u for u in kept if u.subset == subset]
        assert len(part) == utterances
        assert len({u.speaker for u in part}) == speakers
        assert sum(u.seconds for u in part) / 3600 == pytest.approx(hours, abs=0.006)

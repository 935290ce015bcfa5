"""Lists of a corpus are read from any system, and one that names nothing is an error."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.manifest import read_manifest
from data_prep import an4, librispeech, speechcommands, voxceleb1
from data_prep.lists import check_matches, key_of, read_lines

# How one system or another writes a line of a list.
SPELLINGS = {
    "plain": lambda path: f"{path}\n",
    "windows": lambda path: path.replace("/", "\\") + "\r\n",
    "absolute": lambda path: f"/data/corpus/{path}\n",
    "drive": lambda path: "C:\\corpus\\" + path.replace("/", "\\") + "  \r\n",
    "here": lambda path: f"./{path}\n\n",
    "capitals": lambda path: path.replace(".wav", ".WAV") + "\n",
}
spelled = pytest.mark.parametrize("spelling", SPELLINGS)
encoded = pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])


def record(path: Path) -> Path:
    """A short recording like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(os.fsencode(path.name + path.parent.name)))
    kind = {".sph": "NIST"}.get(path.suffix.lower(), path.suffix[1:].upper())
    with path.open("wb") as file:
        soundfile.write(file, 0.1 * rng.standard_normal(4000), 16_000, format=kind)
    return path


def write_list(path: Path, lines: list[str], spelling: str, encoding: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(SPELLINGS[spelling](line) for line in lines).encode(encoding))


@spelled
def test_a_recording_has_one_key_however_it_is_spelled(spelling: str) -> None:
    line = SPELLINGS[spelling]("id10001/a_x/00001.wav").strip()
    assert key_of(line, 3) == "id10001/a_x/00001"


def test_a_name_keeps_what_is_no_suffix_of_a_recording() -> None:
    assert key_of("a/dr.smith", 2) == "a/dr.smith"
    assert key_of("id10001-a-00001", 3) == "id10001-a-00001"


def test_lines_are_numbered_as_in_an_editor(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\u2028\r\n\r\n  two x \n".encode())
    assert read_lines(tmp_path / "a.txt") == [(1, "one"), (3, "two x")]


def test_what_a_list_does_not_find_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_matches(Path("l.txt"), ["a", "b"], {"a", "b", "c"})
    assert capsys.readouterr().err == ""
    check_matches(Path("l.txt"), ["a", "x", "y"], {"a"})
    assert "l.txt: 2 of 3 lines name no recording of this corpus, such as 'x'" in (
        capsys.readouterr().err
    )
    with pytest.raises(ValueError, match=r"l\.txt: 2 of 2 lines name no .*; correct its paths"):
        check_matches(Path("l.txt"), ["x", "y"], {"a"})
    with pytest.raises(ValueError, match=r"l\.txt: 0 of 0 lines"):
        check_matches(Path("l.txt"), [], {"a"})


@spelled
@encoded
def test_speech_commands_lists(tmp_path: Path, spelling: str, encoding: str) -> None:
    for name in ("go/a_nohash_0", "go/b_nohash_0", "up/c_nohash_0"):
        record(tmp_path / f"{name}.wav")
    write_list(tmp_path / "validation_list.txt", ["go/a_nohash_0.wav"], spelling, encoding)
    write_list(tmp_path / "testing_list.txt", ["up/c_nohash_0.wav"], spelling, encoding)
    subsets = {u.speaker: u.subset for u in speechcommands.scan(tmp_path)}
    assert subsets == {"a": "dev", "b": "train", "c": "test"}
    (tmp_path / "testing_list.txt").write_text("c_nohash_0\nd_nohash_0\n")
    with pytest.raises(ValueError, match=r"testing_list\.txt: 2 of 2 lines name no recording"):
        list(speechcommands.scan(tmp_path))


@spelled
@encoded
@pytest.mark.parametrize("separator", [" ", "\t", "   ", ","])
def test_voxceleb_lists(tmp_path: Path, spelling: str, encoding: str, separator: str) -> None:
    for name in ("id10001/a/1", "id10001/b/1", "id10002/a/1", "id10003/a/1"):
        record(tmp_path / f"{name}.wav")
    paths = {"id10001/a/1.wav": 1, "id10001/b/1.wav": 3, "id10002/a/1.wav": 2}
    spell = SPELLINGS[spelling]
    lines = "".join(f"{part}{separator}{spell(path)}" for path, part in paths.items())
    (tmp_path / "iden_split.txt").write_bytes(lines.encode(encoding))
    pair = separator.join(["1", spell("id10003/a/1.wav").strip(), spell("id10003/a/1.wav")])
    (tmp_path / "veri_test.txt").write_bytes(pair.encode(encoding))
    subsets = {u.id: u.subset for u in voxceleb1.scan(tmp_path)}
    assert subsets == {"id10001-a-1": "train", "id10001-b-1": "test", "id10003-a-1": "dev"}
    assert voxceleb1.verification_pairs(tmp_path) == [("1", "id10003/a/1", "id10003/a/1")]
    (tmp_path / "iden_split.txt").write_text("1 id1/a/1.wav\n3 id1/b/1.wav\n3 id2/b/1.wav\n")
    with pytest.raises(ValueError, match=r"iden_split\.txt: 3 of 3 lines name no recording"):
        list(voxceleb1.scan(tmp_path))


def test_transcripts_that_name_no_recording(tmp_path: Path) -> None:
    record(tmp_path / "id10001" / "a" / "1.wav")
    for name in ("id10001\\a\\1.wav", "/x/id10001/a/1", "id10001-a-1 ", "\u200bid10001-a-1"):
        given = {key_of(name, 3): "ONE"}
        assert [u.text for u in voxceleb1.scan(tmp_path, given)] == ["ONE"]
    with pytest.raises(ValueError, match="2 of 2 transcripts name no recording"):
        list(voxceleb1.scan(tmp_path, {"1": "ONE", "2": "TWO"}))


def an4_corpus(root: Path, suffix: str, spelling: str, encoding: str) -> Path:
    for subset, key in (("train", "an4_clstk/fash/u1"), ("test", "an4test_clstk/fcaw/u2")):
        record(root / "wav" / f"{key}{suffix}")
        write_list(root / "etc" / f"an4_{subset}.fileids", [key], spelling, encoding)
        lines = [f"<s> YES </s> ({Path(key).name})"]
        write_list(root / "etc" / f"an4_{subset}.transcription", lines, "plain", encoding)
    return root


@spelled
@encoded
def test_an4_lists(tmp_path: Path, spelling: str, encoding: str) -> None:
    found = list(an4.scan(an4_corpus(tmp_path, ".wav", spelling, encoding)))
    assert [(u.id, u.speaker, u.subset, u.text) for u in found] == [
        ("u1", "fash", "train", "YES"),
        ("u2", "fcaw", "test", "YES"),
    ]
    assert all(u.audio.is_file() for u in found)
    for subset in ("train", "test"):
        (tmp_path / "etc" / f"an4_{subset}.fileids").write_text("wav/u1\nwav/u2\n")
    with pytest.raises(ValueError, match=r"4 of 4 lines of the \.fileids name no recording"):
        list(an4.scan(tmp_path))


@pytest.mark.parametrize("suffix", [".sph", ".SPH", ".WAV", ".Flac"])
def test_an4_in_every_form_and_case(tmp_path: Path, suffix: str) -> None:
    root, out = an4_corpus(tmp_path / "an4", suffix, "plain", "utf-8"), tmp_path / "m.jsonl"
    assert an4.main(["--data", str(root), "--out", str(out), "--strict"]) == 0
    assert [u.audio.suffix for u in read_manifest(out)] == [suffix] * 2


def leave_behind(folder: Path) -> None:
    """What systems leave in every folder that they show."""
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (path / name).write_bytes(b"\xff\x00")
    for path in [path for path in folder.rglob("*.*") if path.is_file()]:
        if not path.name.startswith("."):
            path.with_name(f"._{path.name}").write_bytes(b"\xff\x00")
    # As deep as the recordings of each corpus, and with one in it.
    for place in [folder, *folder.glob("*/"), *folder.glob("*/*/")]:
        record(place / ".Trashes" / "x" / "deleted.wav")


def librispeech_corpus(root: Path) -> None:
    record(root / "train-clean-5" / "19" / "7" / "19-7-0.FLAC")
    texts = root / "train-clean-5" / "19" / "7" / "19-7.trans.txt"
    texts.write_bytes("\ufeff19-7-0\tHELLO  WORLD\r\n".encode())


def speech_commands_corpus(root: Path) -> None:
    record(root / "go" / "a_nohash_0.WAV")
    record(root / "_background_noise_" / "tap.Wav")


def voxceleb_corpus(root: Path) -> None:
    record(root / "wav" / "id10001" / "a" / "00001.WAV")


@pytest.mark.parametrize(
    ("corpus", "make", "flags"),
    [
        (an4, lambda root: an4_corpus(root, ".WAV", "plain", "utf-8"), []),
        (librispeech, librispeech_corpus, []),
        (speechcommands, speech_commands_corpus, ["--silence", "1"]),
        (voxceleb1, voxceleb_corpus, []),
    ],
    ids=["an4", "librispeech", "speechcommands", "voxceleb1"],
)
def test_what_systems_leave_behind_is_passed_over(corpus, make, flags, tmp_path: Path) -> None:
    root, out = tmp_path / "corpus", tmp_path / "out" / "m.jsonl"
    make(root)
    expected = corpus.main(["--data", str(root), "--out", str(out), "--strict", *flags])
    rows = out.read_text()
    assert expected == 0
    leave_behind(root)
    assert corpus.main(["--data", str(root), "--out", str(out), "--strict", *flags]) == 0
    assert out.read_text() == rows


@pytest.mark.parametrize("place", ["19/7", os.fsdecode(b"19\xe9/7")])
def test_a_name_that_is_not_utf_8_costs_no_other_recording(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "corpus", tmp_path / "m.jsonl"
    librispeech_corpus(root)
    try:
        record(root / "train-clean-5" / place / os.fsdecode(b"jos\xe9.flac"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert librispeech.main(["--data", str(root), "--out", str(out)]) == 0
    assert [u.text for u in read_manifest(out)] == ["HELLO WORLD"]
    report = json.loads((tmp_path / "m.problems.json").read_text(encoding="utf-8"))
    listed = [(p["id"], p["reason"]) for p in report["problems"]]
    assert listed == [(r"jos\udce9", "name is not UTF-8")]
    assert r"jos\udce9: name is not UTF-8" in capsys.readouterr().err


def test_a_clip_without_a_speaker_costs_no_other_recording(tmp_path: Path) -> None:
    record(tmp_path / "corpus" / "go" / "a_nohash_0.wav")
    record(tmp_path / "corpus" / "go" / "_nohash_0.wav")
    out = tmp_path / "m.jsonl"
    assert speechcommands.main(["--data", str(tmp_path / "corpus"), "--out", str(out)]) == 0
    assert [u.speaker for u in read_manifest(out)] == ["a"]
    report = json.loads((tmp_path / "m.problems.json").read_text())
    assert [p["reason"] for p in report["problems"]] == ["no speaker"]

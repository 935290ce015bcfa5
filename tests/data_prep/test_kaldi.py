"""Kaldi's data folders, with segments and without."""

import numpy as np
import pytest

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from data_prep import kaldi
from data_prep.segments import Segments
from tests.support.recordings import RATE, record, samples


@pytest.fixture
def folder(tmp_path):
    """Two recordings, three utterances of two speakers."""
    data = tmp_path / "data"
    data.mkdir()
    for number, name in enumerate(("rec1", "rec2")):
        record(tmp_path / "wav" / f"{name}.wav", seconds=2.0, seed=number)
    (data / "wav.scp").write_text("".join(f"rec{n} wav/rec{n}.wav\n" for n in (1, 2)))
    (data / "segments").write_text("a-1 rec1 0.0 0.5\na-2 rec1 1.0 1.75\nb-1 rec2 0.5 -1\n")
    (data / "utt2spk").write_text("a-1 anna\na-2 anna\nb-1 bert\n")
    (data / "text").write_text("a-1 HELLO  WORLD\na-2 YES\nb-1 NO\n")
    return data


def scanned(folder, tmp_path):
    return list(kaldi.scan(folder, Segments(tmp_path / "m.jsonl"), root=tmp_path))


def test_segments_are_cut(folder, tmp_path):
    out = tmp_path / "out" / "m.jsonl"
    flags = ["--data", str(folder), "--root", str(tmp_path), "--subset", "train"]
    assert kaldi.main([*flags, "--out", str(out), "--strict"]) == 0
    found = read_manifest(out)
    assert [(u.id, u.speaker, u.text, u.seconds, u.subset) for u in found] == [
        ("a-1", "anna", "HELLO WORLD", 0.5, "train"),
        ("a-2", "anna", "YES", 0.75, "train"),
        ("b-1", "bert", "NO", 1.5, "train"),
    ]
    whole = [samples(tmp_path / "wav" / f"rec{n}.wav") for n in (1, 1, 2)]
    places = [slice(0, RATE // 2), slice(RATE, RATE + 3 * RATE // 4), slice(RATE // 2, None)]
    for utterance, wave, place in zip(found, whole, places, strict=True):
        np.testing.assert_array_equal(samples(utterance.audio), wave[place])


def test_without_segments_a_recording_is_an_utterance(folder, tmp_path):
    (folder / "segments").unlink()
    (folder / "text").unlink()
    (folder / "utt2spk").write_text("rec1 anna\nrec2 bert\n")
    found = scanned(folder, tmp_path)
    assert [(u.id, u.audio, u.text) for u in found] == [
        (f"rec{n}", tmp_path / "wav" / f"rec{n}.wav", None) for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "wav.scp",
            "rec1 sph2pipe -f wav a.sph |\n",
            "rec1 is the output of a command, which",
        ),
        ("wav.scp", "rec1 x\nrec1 y\n", r"wav\.scp, lines 1 and 2: both are for rec1"),
        ("utt2spk", "a-1\n", "utt2spk, line 1: nothing after a-1"),
        ("utt2spk", "c-1 carl\n", "segments has no line for the utterance c-1"),
        ("segments", "a-1 rec1 0\n", "a-1 rec1 0 is no recording, start and end"),
    ],
)
def test_files_that_do_not_fit_are_named(name, content, message, folder, tmp_path):
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=message):
        scanned(folder, tmp_path)


def problems(folder, tmp_path):
    return {one.id: one.detail for one in scanned(folder, tmp_path) if isinstance(one, Problem)}


def test_what_has_no_speaker_or_no_recording_is_left_out_by_name(folder, tmp_path):
    speakers = (folder / "utt2spk").read_text().splitlines()
    (folder / "utt2spk").write_text("\n".join(speakers[1:]))
    first = speakers[0].split()[0]
    assert problems(folder, tmp_path) == {first: f"{folder}/utt2spk has no line for it"}
    (folder / "wav.scp").write_text("rec1 wav/rec1.wav\n")
    assert problems(folder, tmp_path)["b-1"] == f"{folder}/wav.scp has no recording rec2"


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ("5 6", "begins at 5 s"),
        ("1.0 0.5", "begins at 1 s, and ends at 0.5 s"),
        ("0.5 900", "ends at 900 s"),
    ],
)
def test_a_segment_that_its_recording_does_not_have_is_left_out_by_name(
    times, why, folder, tmp_path
):
    lines = (folder / "segments").read_text().splitlines()
    (folder / "segments").write_text("\n".join([f"a-1 rec1 {times}", *lines[1:]]))
    found = problems(folder, tmp_path)
    assert found.keys() == {"a-1"}
    assert found["a-1"].startswith(why)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is no data folder of Kaldi: it has no wav\.scp"):
        scanned(tmp_path, tmp_path)

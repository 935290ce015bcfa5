"""Lhotse's manifests, as it describes them and as the tool itself writes them."""

import gzip
import json

import lhotse as tool
import numpy as np
import pytest
import soundfile

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.runtime.errors import InputError
from data_prep import lhotse
from data_prep.segments import Segments
from tests.support.recordings import RATE, record, samples

RECORDING = {
    "id": "rec",
    "sources": [{"type": "file", "channels": [0], "source": "wav/rec.wav"}],
    "sampling_rate": RATE,
    "num_samples": 2 * RATE,
    "duration": 2.0,
    "channel_ids": [0],
}
SUPERVISIONS = [
    {"id": "u1", "recording_id": "rec", "start": 0.25, "duration": 0.5, "channel": 0,
     "text": "HELLO", "speaker": "anna"},
    {"id": "u2", "recording_id": "rec", "start": 0.0, "duration": 2.0, "channel": 0,
     "text": "ALL", "speaker": "anna", "language": "German"},
]  # fmt: skip


def lines(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def corpus(tmp_path):
    record(tmp_path / "wav" / "rec.wav", seconds=2.0)
    lines(tmp_path / "m" / "x_recordings_train.jsonl.gz", [RECORDING])
    lines(tmp_path / "m" / "x_supervisions_train.jsonl", SUPERVISIONS)
    return tmp_path / "m"


def prepared(source, tmp_path):
    out = tmp_path / "out" / "m.jsonl"
    flags = ["--data", str(source), "--root", str(tmp_path), "--out", str(out), "--strict"]
    assert lhotse.main(flags) == 0
    return read_manifest(out)


def scanned(source, tmp_path):
    return list(lhotse.scan(source, Segments(tmp_path / "m.jsonl"), root=tmp_path))


def check(found, tmp_path):
    found = sorted(found, key=lambda u: u.id)
    assert [(u.id, u.speaker, u.text, u.seconds) for u in found] == [
        ("u1", "anna", "HELLO", 0.5),
        ("u2", "anna", "ALL", 2.0),
    ]
    assert [u.language for u in found] == [None, "German"]
    wave = samples(tmp_path / "wav" / "rec.wav")
    np.testing.assert_array_equal(samples(found[0].audio), wave[RATE // 4 : 3 * RATE // 4])
    assert found[1].audio == tmp_path / "wav" / "rec.wav"


def test_recordings_and_supervisions(corpus, tmp_path):
    check(prepared(corpus, tmp_path), tmp_path)


def test_cuts(corpus, tmp_path):
    supervision = {**SUPERVISIONS[0], "start": -0.25}
    cuts = [
        {"id": "c1", "start": 0.5, "duration": 1.0, "channel": 0, "type": "MonoCut",
         "supervisions": [supervision], "recording": RECORDING},
        {"id": "c2", "start": 0.0, "duration": 2.0, "channel": 0, "type": "MonoCut",
         "supervisions": [SUPERVISIONS[1]], "recording": RECORDING},
        {"id": "c3", "start": 0.0, "duration": 2.0, "channel": 0, "type": "MonoCut",
         "recording": RECORDING},
    ]  # fmt: skip
    lines(tmp_path / "cuts.jsonl.gz", cuts)
    check(prepared(tmp_path / "cuts.jsonl.gz", tmp_path), tmp_path)


def test_what_lhotse_writes(tmp_path):
    record(tmp_path / "wav" / "rec.wav", seconds=2.0)
    recordings = tool.RecordingSet.from_recordings(
        [tool.Recording.from_file(tmp_path / "wav" / "rec.wav")]
    )
    supervisions = tool.SupervisionSet.from_segments(
        tool.SupervisionSegment(**row) for row in SUPERVISIONS
    )
    folder = tmp_path / "m"
    folder.mkdir()
    recordings.to_file(folder / "recordings.jsonl.gz")
    supervisions.to_file(folder / "supervisions.jsonl.gz")
    check(prepared(folder, tmp_path), tmp_path)
    cuts = tool.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    cuts.trim_to_supervisions().to_file(tmp_path / "cuts.jsonl")
    check(prepared(tmp_path / "cuts.jsonl", tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("recording", "supervision", "message"),
    [
        ({"id": "other"}, {}, "supervision u1: there is no recording of it"),
        ({"sources": [{"type": "command", "source": "x"}]}, {}, "its recording rec is no single"),
        ({"sources": []}, {}, "its recording rec is no single file"),
        ({}, {"speaker": None}, "supervision u1 names no speaker"),
    ],
)
def test_what_cannot_be_an_utterance_is_named(recording, supervision, message, corpus, tmp_path):
    lines(corpus / "x_recordings_train.jsonl.gz", [{**RECORDING, **recording}])
    lines(corpus / "x_supervisions_train.jsonl", [{**SUPERVISIONS[0], **supervision}])
    with pytest.raises(InputError, match=message):
        scanned(corpus, tmp_path)


def test_a_part_beyond_its_recording_is_left_out(corpus, tmp_path):
    lines(corpus / "x_recordings_train.jsonl.gz", [RECORDING])
    lines(corpus / "x_supervisions_train.jsonl", [{**SUPERVISIONS[0], "start": 9.0}])
    (found,) = scanned(corpus, tmp_path)
    assert (found.id, found.reason) == ("u1", "no such part")


def test_files_that_cannot_be_read_are_named(corpus, tmp_path):
    (corpus / "x_recordings_train.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"x_recordings_train\.jsonl\.gz: cannot be read"):
        scanned(corpus, tmp_path)
    (corpus / "y_recordings.jsonl").write_text("")
    with pytest.raises(InputError, match=r"one file \*recordings\*\.jsonl .* found y_rec.*, x_rec"):
        scanned(corpus, tmp_path)


@pytest.fixture
def call(tmp_path):
    """A call with a speaker on each channel."""
    waves = np.random.default_rng(0).normal(scale=0.1, size=(RATE, 2))
    (tmp_path / "wav").mkdir()
    soundfile.write(tmp_path / "wav" / "rec.wav", waves, RATE, subtype="PCM_16")
    source = {**RECORDING["sources"][0], "channels": [0, 1]}
    recording = {**RECORDING, "sources": [source], "channel_ids": [0, 1], "duration": 1.0}
    lines(tmp_path / "m" / "recordings.jsonl", [recording])
    return tmp_path / "m"


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_each_speaker_of_a_call_has_a_channel(call, tmp_path, seconds):
    rows = [
        {**SUPERVISIONS[0], "id": f"u{n}", "channel": n, "start": 0, "duration": seconds}
        for n in (0, 1)
    ]
    lines(call / "supervisions.jsonl", rows)
    whole = samples(tmp_path / "wav" / "rec.wav")
    for number, utterance in enumerate(prepared(call, tmp_path)):
        expected = whole[: round(seconds * RATE), number]
        np.testing.assert_array_equal(samples(utterance.audio), expected)


def test_a_channel_that_a_recording_lacks_is_named(call, tmp_path):
    lines(call / "supervisions.jsonl", [{**SUPERVISIONS[0], "channel": 2}])
    with pytest.raises(InputError, match=r"u1 is of channel 2, and its recording .* has 0, 1"):
        scanned(call, tmp_path)


def test_a_supervision_of_all_channels_is_cut_with_all(call, tmp_path):
    lines(call / "supervisions.jsonl", [{**SUPERVISIONS[0], "channel": [0, 1]}])
    (found,) = prepared(call, tmp_path)
    assert samples(found.audio).shape == (RATE // 2, 2)

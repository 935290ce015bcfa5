"""Recordings that could exhaust the memory or never end: named and left out."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_unlearn.data.audio import AudioError, TooLongError, load_audio
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import validate
from asr_unlearn.runtime.errors import InputError

RATE = 16_000
CLAIMED = 10**10


def encoded(samples, kind, subtype=None, rate=RATE):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


SECOND = np.zeros(RATE, np.int16)


def flac_that_claims():
    content = bytearray(encoded(SECOND, "FLAC"))
    field = int.from_bytes(content[18:26], "big") & ~((1 << 36) - 1)
    content[18:26] = (field | CLAIMED).to_bytes(8, "big")
    return bytes(content)


def sphere_that_claims():
    content = encoded(SECOND, "NIST")
    claim = b"sample_count -i %d" % CLAIMED
    return content.replace(b"sample_count -i 16000", claim, 1)[: len(content)]


def w64_that_claims():
    content = bytearray(encoded(SECOND, "W64"))
    at = content.index(b"data")
    content[at + 16 : at + 24] = (2 * CLAIMED).to_bytes(8, "little")
    return bytes(content)


def rf64_that_claims():
    content = bytearray(encoded(SECOND, "RF64"))
    content[28:36] = (2 * CLAIMED).to_bytes(8, "little")
    return bytes(content)


def wav_that_claims(size=2 * 10**9):
    content = bytearray(encoded(SECOND, "WAV"))
    at = content.index(b"data")
    content[at + 4 : at + 8] = size.to_bytes(4, "little")
    return bytes(content)


CLAIMS = [
    *(flac_that_claims, sphere_that_claims, w64_that_claims, rf64_that_claims, wav_that_claims),
]


@pytest.mark.parametrize("size", [0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_wav_that_was_written_to_a_pipe_is_read_to_its_end(size):
    assert len(load_audio(wav_that_claims(size), name="piped.wav")) == RATE


def test_a_wav_with_a_chunk_of_odd_size_before_its_samples():
    content = wav_that_claims()
    at = content.index(b"data")
    odd = b"LIST" + (5).to_bytes(4, "little") + b"data!\0"
    with pytest.raises(AudioError, match="its header claims 2000000000 samples or bytes"):
        load_audio(content[:at] + odd + content[at:], name="odd.wav")


def three_hours(path):
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
        for _ in range(180):
            file.write(np.zeros(60 * RATE, np.int16))


def three_sparse_hours(path):
    content = bytearray(encoded(SECOND, "WAV"))
    length = 3 * 3600 * 2 * RATE
    at = content.index(b"data")
    content[at + 4 : at + 8] = length.to_bytes(4, "little")
    path.write_bytes(content)
    os.truncate(path, at + 8 + length)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Three good recordings among bad ones."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("a", "b", "c"):
        (folder / f"good-{name}.wav").write_bytes(encoded(SECOND + 1, "WAV"))
    for make in CLAIMS:
        (folder / f"{make.__name__}.audio").write_bytes(make())
    three_hours(folder / "three-hours-0.flac")
    for number in (1, 2, 3):
        os.link(folder / "three-hours-0.flac", folder / f"three-hours-{number}.flac")
    three_sparse_hours(folder / "three-hours.wav")
    with (folder / "three-hours.raw").open("wb") as file:
        os.truncate(file.fileno(), 3 * 3600 * 2 * RATE)
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    return folder


CHECK = """
import json, resource, sys
from pathlib import Path
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import validate
files = sorted(Path(sys.argv[1]).iterdir())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
given = [Utterance(id=f.name, audio=f, speaker="s", seconds=0.0) for f in files]
found = validate(given, workers=int(sys.argv[2]), progress=False)
print(json.dumps({
    "grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before,
    "kept": [u.id for u in found.kept],
    "problems": {p.id: [p.reason, p.detail] for p in found.problems},
}))
"""


@pytest.mark.parametrize("workers", [1, 8])
def test_they_are_named_and_left_out_within_little_memory(workers, recordings):
    ended = subprocess.run(
        [sys.executable, "-c", CHECK, str(recordings), str(workers)],
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["kept"] == ["good-a.wav", "good-b.wav", "good-c.wav"]
    problems = found["problems"]
    for number in range(4):
        assert problems[f"three-hours-{number}.flac"][0] == "too long"
        assert "lasts more than 70 s" in problems[f"three-hours-{number}.flac"][1]
    assert problems["three-hours.wav"][0] == "too long"
    assert problems["three-hours.raw"][0] == "too long"
    assert "of 10000000000 samples decode" in problems["flac_that_claims.audio"][1]
    for make in CLAIMS[1:]:
        assert "its header claims" in problems[f"{make.__name__}.audio"][1]
    for name in ("pipe.wav", "zero.wav"):
        assert problems[name] == ["missing audio", f"no file {recordings / name}"]
    # Kilobytes. 70 s decoded are 4.5 MB; three hours would be 690 MB for each thread.
    assert found["grown"] < 200_000 * (1 if workers == 1 else 2)


def test_a_pipe_is_not_waited_for(recordings):
    with pytest.raises(AudioError, match=r"pipe.wav: is no file, but a folder, a pipe or a device"):
        load_audio(recordings / "pipe.wav")


def test_what_is_loaded_is_bounded_too(recordings):
    with pytest.raises(TooLongError, match="lasts more than 3600 s; cut it"):
        load_audio(recordings / "three-hours-0.flac")
    with pytest.raises(TooLongError, match=r"lasts more than 0\.5 s"):
        load_audio(encoded(SECOND, "WAV"), longest=0.5)
    assert len(load_audio(encoded(SECOND, "WAV"), longest=1.0)) == RATE


def test_many_channels_take_no_more_memory():
    content = encoded(np.zeros((1000, 200), np.int16), "WAV")
    assert len(load_audio(content)) == 1000


def test_a_rate_that_no_recording_has_is_refused():
    content = bytearray(encoded(SECOND, "WAV"))
    content[24:28] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(AudioError, match="samples a second are too many for speech"):
        load_audio(bytes(content))


@pytest.mark.parametrize("height", [1e37, -1e37, 3.3e4])
def test_samples_far_beyond_full_scale_are_refused(height):
    with pytest.raises(AudioError, match=r"holds samples up to .*, where full scale is 1"):
        load_audio(encoded(np.full(RATE, height, np.float32), "WAV", "FLOAT"))


def test_so_are_those_that_cancel_between_channels():
    both = np.stack([np.full(RATE, 1e37, np.float32), np.full(RATE, -1e37, np.float32)], axis=1)
    with pytest.raises(AudioError, match=r"holds samples up to 1e\+37"):
        load_audio(encoded(both, "WAV", "FLOAT"))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_limits_are_refused(limit):
    with pytest.raises(InputError, match="recordings cannot last from "):
        validate([], min_seconds=0.0, max_seconds=limit)


@pytest.mark.parametrize("name", ["", " ", "\u200b"])
def test_an_empty_id_is_named_and_left_out(name, recordings):
    nameless = Utterance(id=name, audio=recordings / "good-a.wav", speaker="s", seconds=0.0)
    found = validate([nameless], progress=False)
    assert not found.kept
    assert found.problems[0].reason == "no id"
    assert "good-a.wav" in found.problems[0].detail

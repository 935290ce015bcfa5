"""Synthetic corpora of any size: a manifest, and recordings that take little room on a disk."""

import struct
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance, write_manifest

MANIFEST = "manifest.jsonl"
WORDS = ("a", "speaker", "may", "ask", "that", "the", "model", "forgets", "all", "of", "them")
# Fewer than a CTC model has frames for.
CHARACTERS_A_SECOND = 10
SHORTEST, LONGEST = 10, 20
MEAN_SECONDS = (SHORTEST + LONGEST) / 2
LINES_A_SPEAKER = 100
FEWEST_SPEAKERS = 20


def write_recording(path: Path, seconds: int, seed: int) -> None:
    """Write a WAV of a tenth of a second of noise, and silence that takes no room on the disk."""
    noise = np.random.default_rng(seed).integers(-3_000, 3_000, SAMPLE_RATE // 10, dtype="<i2")
    size = 2 * SAMPLE_RATE * seconds
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    header = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form
    header += struct.pack("<4sI", b"data", size)
    with path.open("wb") as file:
        file.write(header + noise.tobytes())
        file.truncate(len(header) + size)


def seconds_of(recording: int) -> int:
    """The length of a recording, by its number."""
    return SHORTEST + recording % (LONGEST - SHORTEST + 1)


def write_corpus(folder: Path, lines: int, recordings: int) -> Path:
    """Write recordings, and a manifest whose utterances take them in turn.

    A line has no digest of its recording, which would show that others have the same.

    Returns:
        The manifest.
    """
    audio = [folder / "audio" / f"{number:06d}.wav" for number in range(recordings)]
    (folder / "audio").mkdir(parents=True)
    for number, path in enumerate(audio):
        write_recording(path, seconds_of(number), seed=number)
    manifest = folder / MANIFEST
    write_manifest(manifest, _utterances(audio, lines))
    return manifest


def _utterances(audio: list[Path], lines: int) -> Iterator[Utterance]:
    speakers = max(FEWEST_SPEAKERS, lines // LINES_A_SPEAKER)
    for number in range(lines):
        recording = number % len(audio)
        seconds, words = seconds_of(recording), islice(cycle(WORDS), number % len(WORDS), None)
        text = " ".join(islice(words, seconds * CHARACTERS_A_SECOND // 6))
        speaker = f"speaker-{number % speakers:06d}"
        yield Utterance(
            id=f"{speaker}-{number:09d}",
            audio=audio[recording],
            speaker=speaker,
            seconds=float(seconds),
            text=text,
        )

"""Cut utterances out of long recordings: a manifest has one file an utterance."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import soundfile

from asr_unlearn.data.audio import HEADERLESS
from asr_unlearn.data.manifest import SUBSETS, Utterance
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from data_prep.prepare import prepare

# Seconds that a part may lack of its recording and still be the whole: tables round.
SLACK = 0.01
# Seconds that it may claim beyond the end, as in Kaldi's own extract-segments.
OVERSHOOT = 0.5


class NoSuchPartError(InputError):
    """A recording does not have a part that an utterance is said to be."""


def file_for(folder: Path, name: str, suffix: str) -> Path:
    """The file for the utterance of that name, which no other name has."""
    return folder / f"{name.replace('%', '%25').replace('/', '%2F')}{suffix}"


class Segments:
    """The folder that utterances are cut to, beside the manifest.

    Args:
        manifest: path of the manifest that will name them.
    """

    def __init__(self, manifest: Path) -> None:
        self.folder = manifest.with_name(f"{manifest.stem}.audio")
        self._seen: set[str] = set()

    def part(
        self,
        utterance: Utterance,
        start: float | None,
        seconds: float | None,
        channel: int | None = None,
    ) -> Utterance | Problem:
        """The utterance with a part of its recording as its audio, or why there is no such part.

        Args:
            utterance: with the whole recording.
            start: seconds before the part; None where the utterance is the whole recording.
            seconds: length of the part; None up to the end.
            channel: of the recording, from 0; None for all.
        """
        if start is None:
            return utterance
        # Its file would replace that of the one before.
        if utterance.id in self._seen:
            detail = f"a part of {utterance.audio} has the id of a part before it"
            return Problem(utterance.id, "duplicate id", detail)
        self._seen.add(utterance.id)
        try:
            audio = self.cut(utterance.audio, utterance.id, start, seconds, channel)
        except NoSuchPartError as error:
            return Problem(utterance.id, "no such part", str(error))
        return replace(utterance, audio=audio)

    def cut(
        self,
        recording: Path,
        name: str,
        start: float,
        seconds: float | None,
        channel: int | None = None,
    ) -> Path:
        """The path of a FLAC file with a part of a recording.

        The recording itself is returned if the part is all of it, and if it cannot be read, so that
        the check names the reason.

        Args:
            recording: to cut; it is not changed.
            name: of the utterance.
            start: seconds before the part.
            seconds: length of the part; None up to the end.
            channel: from 0; None for all of them.

        Raises:
            NoSuchPartError: the part does not begin within the recording, ends before it begins, or
                ends beyond the recording; there is no such channel, or the recording cannot be cut.
        """
        if recording.suffix.lower() == HEADERLESS:
            raise NoSuchPartError(f"{recording} has no header: convert it to WAV to cut it")
        path = file_for(self.folder, name, ".flac")
        try:
            with soundfile.SoundFile(recording) as file:
                rate, whole = file.samplerate, file.frames / file.samplerate
                end = whole if seconds is None else start + seconds
                first = round(start * rate)
                if not 0 <= first < file.frames:
                    raise NoSuchPartError(f"begins at {start:g} s, and {recording} has {whole:g} s")
                if end <= start:
                    raise NoSuchPartError(f"begins at {start:g} s, and ends at {end:g} s")
                if end > whole + OVERSHOOT:
                    raise NoSuchPartError(f"ends at {end:g} s, and {recording} has {whole:g} s")
                count = min(file.frames, round(end * rate)) - first
                if channel is not None and not 0 <= channel < file.channels:
                    raise NoSuchPartError(
                        f"is on channel {channel}, and {recording} has {file.channels}"
                    )
                one_of_several = channel is not None and file.channels > 1
                if count >= file.frames - SLACK * rate and not one_of_several:
                    return recording
                file.seek(first)
                samples = file.read(count, always_2d=True)
                if channel is not None:
                    samples = samples[:, [channel]]
        except (OSError, soundfile.SoundFileError):
            return recording
        self.folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, format="FLAC")
        return path


def prepare_with_segments(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    scan: Callable[..., Iterable[Utterance | Problem]],
) -> int:
    """Add the flags of formats that name recordings and parts of them, and run the program.

    Args:
        parser: of `command_line`.
        arguments: of the program.
        scan: takes the data and `Segments`, `root`, where relative paths begin, and `subset`.
    """

    def scanned(options: argparse.Namespace) -> Iterable[Utterance | Problem]:
        segments = Segments(options.out)
        return scan(options.data, segments, root=options.root, subset=options.subset)

    parser.add_argument("--root", type=Path, help="where relative paths of recordings begin")
    parser.add_argument("--subset", choices=SUBSETS, help="of all utterances")
    return prepare(parser, arguments, scanned)

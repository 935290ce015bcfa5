"""A data folder of Kaldi: wav.scp, utt2spk, text, and segments where recordings are cut."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from data_prep.lists import read_lines
from data_prep.prepare import command_line
from data_prep.segments import Segments, prepare_with_segments


def scan(
    folder: Path, segments: Segments, *, root: Path | None = None, subset: str | None = None
) -> Iterator[Utterance | Problem]:
    """The utterances of a data folder, and why others of its files are none.

    Args:
        folder: with the files.
        segments: cuts utterances out of their recordings.
        root: where relative paths begin, by default the current folder, as Kaldi's do.
        subset: that all of them belong to.

    Raises:
        InputError: a file is missing, or has a line that cannot be read; or a recording is the
            output of a command, which is not run.
    """
    recordings = {name: _path(path, name, folder) for name, path in pairs(folder / "wav.scp")}
    speakers = dict(pairs(folder / "utt2spk"))
    texts = dict(pairs(folder / "text", may_be_empty=True)) if _has(folder, "text") else None
    cut = dict(pairs(folder / "segments")) if _has(folder, "segments") else None
    for name in dict.fromkeys([*speakers, *(recordings if cut is None else cut), *(texts or ())]):
        if name not in speakers:
            yield Problem(name, "no speaker", f"{folder}/utt2spk has no line for it")
            continue
        source, start, seconds = (name, None, None) if cut is None else _segment(cut, name, folder)
        if source not in recordings:
            yield Problem(name, "missing audio", f"{folder}/wav.scp has no recording {source}")
            continue
        utterance = Utterance(
            id=name,
            audio=(root or Path()) / recordings[source],
            speaker=speakers[name],
            seconds=0.0,
            text=None if texts is None else texts.get(name, ""),
            subset=subset,
        )
        yield segments.part(utterance, start, seconds)


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def pairs(path: Path, *, may_be_empty: bool = False) -> Iterator[tuple[str, str]]:
    """The first word of each line and the rest.

    Raises:
        InputError: there is no such file, a line has one word, or two lines begin alike.
    """
    if not path.is_file():
        raise InputError(f"{path.parent} is no data folder of Kaldi: it has no {path.name}")
    seen: dict[str, int] = {}
    for number, line in read_lines(path):
        name, *rest = line.split(maxsplit=1)
        if name in seen:
            raise InputError(f"{path}, lines {seen[name]} and {number}: both are for {name}")
        if not rest and not may_be_empty:
            raise InputError(f"{path}, line {number}: nothing after {name}")
        seen[name] = number
        yield name, rest[0] if rest else ""


def _path(entry: str, name: str, folder: Path) -> Path:
    if entry.endswith("|"):
        raise InputError(
            f"{folder}/wav.scp: {name} is the output of a command, which is not run: write the "
            "recordings to files first, for instance with wav-copy, and name these"
        )
    return Path(entry)


def _segment(cut: dict[str, str], name: str, folder: Path) -> tuple[str, float, float | None]:
    """Recording, start and length of an utterance, None up to the end: that is an end of -1."""
    try:
        source, start, end = cut[name].split()
        return source, float(start), None if float(end) < 0 else float(end) - float(start)
    except KeyError as error:
        raise InputError(f"{folder}/segments has no line for the utterance {name}") from error
    except ValueError as error:
        raise InputError(
            f"{folder}/segments: {name} {cut[name]} is no recording, start and end"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of a data folder of Kaldi."""
    parser = command_line("kaldi", __doc__ or "", "--data data/train --out exp/manifest.jsonl")
    return prepare_with_segments(parser, arguments, scan)


if __name__ == "__main__":
    sys.exit(main())

"""Manifests of Lhotse: a folder with recordings and supervisions, or a file of cuts."""

import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text
from data_prep.json_lines import json_lines
from data_prep.prepare import command_line
from data_prep.segments import Segments, prepare_with_segments


def scan(
    source: Path, segments: Segments, *, root: Path | None = None, subset: str | None = None
) -> Iterator[Utterance | Problem]:
    """The supervisions of recordings or cuts, one utterance each.

    Args:
        source: a folder with one *recordings*.jsonl[.gz] and one *supervisions*.jsonl[.gz], or a
            file of cuts.
        segments: cuts a supervision out of a longer recording.
        root: where relative paths begin, by default the current folder, as Lhotse's do.
        subset: that all of them belong to.

    Raises:
        InputError: a file is missing or malformed, or a recording is not a file.
    """
    if source.is_dir():
        recordings = {r["id"]: r for r in _entries(_one(source, "recordings"))}
        supervised = (
            (s, recordings.get(s.get("recording_id")), float(s.get("start", 0)))
            for s in _entries(_one(source, "supervisions"))
        )
    else:
        supervised = (
            # A supervision's start is relative to its cut.
            (s, cut.get("recording"), float(cut.get("start", 0)) + float(s.get("start", 0)))
            for cut in _entries(source)
            for s in cut.get("supervisions") or ()
        )
    seen: set[tuple[object, object, float]] = set()
    for supervision, recording, start in supervised:
        # Cuts that overlap have the same supervision.
        place = (supervision.get("id"), (recording or {}).get("id"), round(start, 4))
        if place in seen:
            continue
        seen.add(place)
        yield _utterance(supervision, recording, start, root or Path(), subset, segments)


def _utterance(
    supervision: Mapping[str, Any],
    recording: Mapping[str, Any] | None,
    start: float,
    root: Path,
    subset: str | None,
    segments: Segments,
) -> Utterance | Problem:
    name = str(supervision.get("id"))
    if recording is None:
        raise InputError(f"supervision {name}: there is no recording of it")
    sources = recording.get("sources") or [{}]
    if len(sources) != 1 or sources[0].get("type") != "file":
        raise InputError(
            f"supervision {name}: its recording {recording.get('id')} is no single file"
        )
    if not supervision.get("speaker"):
        raise InputError(f"supervision {name} names no speaker")
    seconds, text = supervision.get("duration"), supervision.get("text")
    utterance = Utterance(
        id=name,
        audio=root / sources[0]["source"],
        speaker=str(supervision["speaker"]),
        seconds=0.0,
        text=None if text is None else str(text),
        subset=subset,
        language=supervision.get("language"),
    )
    seconds = None if seconds is None else float(seconds)
    return segments.part(utterance, max(start, 0.0), seconds, _channel(supervision, sources[0]))


def _channel(supervision: Mapping[str, Any], source: Mapping[str, Any]) -> int | None:
    """The place of the supervision's channel in its file; None for several, or where none is named.

    Raises:
        InputError: the file does not have the channel.
    """
    named, there = supervision.get("channel"), source.get("channels")
    wanted = named if isinstance(named, list) else [named]
    if len(wanted) != 1 or wanted[0] is None:
        return None
    if there is None:
        return int(wanted[0])
    if wanted[0] not in there:
        raise InputError(
            f"supervision {supervision.get('id')} is of channel {wanted[0]}, and its recording "
            f"{source.get('source')} has {', '.join(map(str, there))}"
        )
    return list(there).index(wanted[0])


def _one(folder: Path, kind: str) -> Path:
    """The folder's only file of a kind."""
    found = sorted(folder.glob(f"*{kind}*.jsonl")) + sorted(folder.glob(f"*{kind}*.jsonl.gz"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder}: one file *{kind}*.jsonl or .jsonl.gz is needed; found {names}")
    return found[0]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, which may be compressed."""
    try:
        text = (
            gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else read_text(path)
        )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    return (entry for _, entry in json_lines(text, path))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of Lhotse's."""
    parser = command_line("lhotse", __doc__ or "", "--data data/manifests --out exp/manifest.jsonl")
    return prepare_with_segments(parser, arguments, scan)


if __name__ == "__main__":
    sys.exit(main())

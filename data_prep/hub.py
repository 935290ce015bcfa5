"""A corpus of the Hugging Face Hub, or a folder that `datasets` reads, such as one of Parquet.

Columns are found by their usual names, as those of `data_prep.table`. The corpus is streamed: only
the recordings are kept, as files beside the manifest.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import names_in, normal_name
from data_prep.prepare import command_line, prepare
from data_prep.segments import Segments, file_for
from data_prep.subsets import subset_called
from data_prep.table import USUAL, Columns, add_column_flags, given_columns

COLUMNS = [what for what in USUAL if what not in ("start", "end", "seconds", "subset")]


def scan(
    source: str,
    out: Path,
    *,
    config: str | None = None,
    splits: Sequence[str] = (),
    columns: Mapping[str, str | None] | None = None,
) -> Iterator[Utterance | Problem]:
    """The utterances of a corpus.

    Args:
        source: name on the Hub, or a folder.
        out: folder for the recordings.
        config: of a corpus that has several, such as its languages.
        splits: to read; all of them by default.
        columns: names for the keys of `data_prep.table.USUAL`; the usual ones by default.

    Raises:
        InputError: there is no such corpus, split or column, or it cannot be reached.
    """
    loaded = _loaded(source, config)
    if unknown := [name for name in splits if name not in loaded]:
        raise InputError(
            f"--data {source} has no split {', '.join(unknown)}; there are {', '.join(loaded)}"
        )
    if not splits and (others := [name for name in loaded if subset_called(name) is None]):
        raise InputError(
            f"--data {source}: {', '.join(others)} is neither train, dev nor test; name the splits "
            "to read with --splits, of which such a one belongs to none of these"
        )
    seen: set[str] = set()
    for split, rows in loaded.items():
        if splits and split not in splits:
            continue
        present = list(rows.features or next(iter(rows), {}))
        named = Columns.among(present, columns or {}, f"{source}, split {split}")
        part = subset_called(split)
        for number, row in enumerate(_undecoded(rows, str(named.names["audio"]))):
            yield _utterance(row, f"{split}-{number:07d}", named, out, part, seen)


def _loaded(source: str, config: str | None) -> Mapping[str, Any]:
    """The splits of a corpus by name, to be streamed."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        loaded: Mapping[str, Any] = load_dataset(source, config, streaming=True)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"--data {source} cannot be loaded by datasets: {why}") from error
    return loaded


def _undecoded(rows: Any, audio: str) -> Any:
    """The rows, with recordings as the bytes of their files."""
    from datasets import Audio

    return rows.cast_column(audio, Audio(decode=False))


def _utterance(
    row: Mapping[str, Any],
    number: str,
    columns: Columns,
    out: Path,
    part: str | None,
    seen: set[str],
) -> Utterance | Problem:
    """The utterance of a row, its recording in a file; `seen` has the ids before it."""
    recording = row[str(columns.names["audio"])]
    written = Path(str(recording.get("path") or number))
    name, stem = columns.of(row, "id"), normal_name(written.stem)
    if name is None:
        # Recordings of several folders may be called alike.
        name = stem if recording.get("path") and stem not in seen else number
    if (name := normal_name(name)) in seen:
        return Problem(name, "duplicate id", f"row {number} has the id of a row before it")
    seen.add(name)
    speaker = columns.of(row, "speaker")
    if speaker is None:
        raise InputError(f"row {number} names no speaker")
    content = recording.get("bytes")
    audio = written
    if content is not None:
        audio = file_for(out, name, written.suffix or suffix_of(content))
        out.mkdir(parents=True, exist_ok=True)
        audio.write_bytes(content)
    return Utterance(
        id=name,
        audio=audio,
        speaker=speaker,
        seconds=0.0,
        subset=part,
        **columns.description(row),
    )


def suffix_of(content: bytes) -> str:
    """The suffix of a recording's format by its first bytes; .wav where they tell nothing."""
    begins = {b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}
    return next((own for start, own in begins.items() if content.startswith(start)), ".wav")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of a corpus of the Hub."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance | Problem]:
        splits = names_in(options.splits or "")
        return scan(
            options.data.as_posix(),
            Segments(options.out).folder,
            config=options.name,
            splits=splits,
            columns=given_columns(options),
        )

    parser = command_line(
        "hub",
        __doc__ or "",
        "--data openslr/librispeech_asr --name clean --splits train.100,test \\\n"
        "      --out exp/manifest.jsonl",
    )
    parser.add_argument("--name", help="of one of several configurations")
    parser.add_argument("--splits", help="with commas (default: all)")
    add_column_flags(parser, COLUMNS)
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())

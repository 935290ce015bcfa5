"""Any table with a row for each recording: CSV, TSV, JSON lines or JSON.

Columns are found by their usual names, so that the tables of Common Voice, NeMo and SpeechBrain
need no flags. A folder is read as its train, dev and test tables.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import Problem
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import read_text
from data_prep.json_lines import json_lines
from data_prep.prepare import command_line, prepare
from data_prep.segments import Segments
from data_prep.subsets import CALLED, subset_called

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")
USUAL = {
    "audio": ("audio", "audio_filepath", "path", "wav", "file", "filename", "audio_path"),
    "speaker": ("speaker", "client_id", "speaker_id", "spk_id", "spk", "speaker_name"),
    "text": ("text", "sentence", "transcript", "transcription", "wrd", "words", "normalized_text"),
    "id": ("id", "ID", "utterance_id", "utt_id"),
    "label": ("label", "command", "keyword"),
    "subset": ("subset", "split"),
    "language": ("language", "locale", "lang"),
    "start": ("start", "offset", "begin"),
    "end": ("end", "stop", "end_time"),
    "seconds": ("duration", "seconds", "dur"),
}
NEEDED = ("audio", "speaker")
OWN_FOLDERS = ("", "clips", "wav", "audio")


@dataclass(frozen=True)
class Columns:
    """The name of the column for each thing that a manifest holds; None where there is none."""

    names: Mapping[str, str | None]

    @classmethod
    def among(
        cls, present: Sequence[str], given: Mapping[str, str | None], where: Path | str
    ) -> "Columns":
        """The given columns, and of the others the first usual name that is present.

        Raises:
            InputError: a column that is not there, or none for the recording or the speaker.
        """
        found: dict[str, str | None] = {}
        for what, usual in USUAL.items():
            name = given.get(what)
            if name is not None and name not in present:
                raise InputError(
                    f"{where}: no column {name!r} for --{what}; there are {', '.join(present)}"
                )
            found[what] = name or next((own for own in usual if own in present), None)
        for what in NEEDED:
            if found[what] is None:
                raise InputError(
                    f"{where}: no column for the {what} by a usual name; give it with --{what}, "
                    f"one of {', '.join(present)}"
                )
        return cls(found)

    def of(self, row: Mapping[str, Any], what: str) -> str | None:
        """A row's entry as text; None where it is empty."""
        name = self.names[what]
        value = None if name is None else row.get(name)
        return None if value is None or value == "" else str(value)

    def description(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        """What a row says of an utterance: the transcript, the label and the language."""
        language = self.of(row, "language")
        return {
            # A table with a column for transcripts is one of a recogniser.
            "text": None if self.names["text"] is None else self.of(row, "text") or "",
            "label": self.of(row, "label"),
            # Without the country of a locale such as sv-SE.
            "language": language and language.partition("-")[0],
        }


def scan(
    source: Path,
    segments: Segments,
    *,
    columns: Mapping[str, str | None] | None = None,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Utterance | Problem]:
    """The utterances of a table, or of the tables in a folder.

    Args:
        source: CSV, TSV, JSON lines, a JSON array, or a JSON object of rows by id.
        segments: cuts utterances with a start out of their recordings.
        columns: names for the keys of `USUAL`; the usual ones by default.
        folder: that relative paths begin in; by default that of the table, or the first of its
            folders clips, wav and audio that has the recording.
        variables: values of placeholders such as {data_root} in paths.

    Raises:
        InputError: naming the file, and the line or column that cannot be used.
    """
    for table in tables_in(source):
        rows = list(read_rows(table))
        if not rows:
            continue
        present = list(dict.fromkeys(name for _, row in rows for name in row))
        named = Columns.among(present, columns or {}, table)
        if named.names["start"] and not (named.names["end"] or named.names["seconds"]):
            raise InputError(
                f"{table}: the column {named.names['start']!r} says where utterances begin, and "
                "none says where they end: name it with --end, or that of their length with "
                "--seconds"
            )
        part = CALLED.get(table.stem.lower())
        for where, row in rows:
            yield _utterance(where, row, named, table, folder, variables or {}, part, segments)


def tables_in(source: Path) -> list[Path]:
    """The table, or the train, dev and test tables of a folder.

    Raises:
        InputError: a folder without any, or with two for one part.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise InputError(f"--data {source}: no such table or folder")
    found = [p for p in sorted(source.iterdir()) if p.suffix.lower() in SUFFIXES]
    found = [path for path in found if path.stem.lower() in CALLED]
    parts = [CALLED[path.stem.lower()] for path in found]
    if not found or len(set(parts)) < len(parts):
        what = ", ".join(path.name for path in found) or "no train, dev or test table"
        raise InputError(f"--data {source} has {what}; give one table")
    return found


def read_rows(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a table, and where it is for a message.

    Raises:
        InputError: it cannot be read as what its suffix says.
    """
    suffix, text = table.suffix.lower(), read_text(table)
    if suffix in (".csv", ".tsv"):
        # Common Voice's tables have quotation marks that are no quotes.
        dialect: dict[str, Any] = {"delimiter": ","}
        if suffix == ".tsv":
            dialect = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        reader = csv.DictReader(
            io.StringIO(text, newline=""), skipinitialspace=True, strict=True, **dialect
        )
        try:
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise InputError(f"{where}: not as many columns as in the first line")
                yield where, row
        except csv.Error as error:
            raise InputError(f"{table}, line {reader.line_num}: {error}") from error
        return
    yield from _json_rows(table, text)


def _json_rows(table: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        if table.suffix.lower() == ".json" and text.lstrip()[:1] in "[{":
            content = json.loads(text)
            rows = (
                [{"id": name, **row} for name, row in content.items()]
                if isinstance(content, dict)
                else content
            )
            for number, row in enumerate(rows, start=1):
                yield f"{table}, entry {number}", {**row}
            return
    except json.JSONDecodeError:
        # NeMo's manifests are JSON lines in files called .json.
        pass
    except TypeError as error:
        raise InputError(f"{table}: its entries are no objects") from error
    for number, row in json_lines(text, table):
        yield f"{table}, line {number}", row


def _utterance(
    where: str,
    row: Mapping[str, Any],
    columns: Columns,
    table: Path,
    folder: Path | None,
    variables: Mapping[str, str],
    part: str | None,
    segments: Segments,
) -> Utterance | Problem:
    written = columns.of(row, "audio")
    speaker = columns.of(row, "speaker")
    if written is None or speaker is None:
        raise InputError(f"{where}: no {'speaker' if written else 'recording'}")
    audio = _located(_filled(written, variables, where), folder, table.parent)
    start, end, seconds = (
        _number(columns.of(row, what), where) for what in ("start", "end", "seconds")
    )
    if seconds is None and start is not None and end is not None:
        seconds = end - start
    name = columns.of(row, "id") or Path(written).with_suffix("").as_posix()
    if start is not None and columns.of(row, "id") is None:
        name = f"{name}-{round(1000 * start):07d}"
    subset = columns.of(row, "subset")
    if subset is not None and (part := subset_called(subset)) is None:
        raise InputError(f"{where}: the subset {subset!r} is neither train, dev nor test")
    utterance = Utterance(
        id=name,
        audio=audio,
        speaker=speaker,
        seconds=0.0,
        subset=part,
        **columns.description(row),
    )
    return segments.part(utterance, start, seconds)


def _filled(path: str, variables: Mapping[str, str], where: str) -> str:
    """The path with its placeholders filled in: {data_root} or $data_root."""
    for name, value in variables.items():
        path = path.replace(f"{{{name}}}", value).replace(f"${name}", value)
    if "{" in path or "$" in path:
        raise InputError(f"{where}: give the placeholder in {path!r} a value: --set NAME=FOLDER")
    return path


def _located(path: str, folder: Path | None, beside: Path) -> Path:
    if folder is not None:
        return folder / path
    return next((p for own in OWN_FOLDERS if (p := beside / own / path).exists()), beside / path)


def _number(text: str | None, where: str) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise InputError(f"{where}: {text!r} is no number of seconds") from error


def add_column_flags(parser: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Flags for the columns of these things, keys of `USUAL`."""
    for what in names:
        usual = ", ".join(USUAL[what])
        parser.add_argument(f"--{what}", metavar="COLUMN", help=f"column (default: {usual})")


def given_columns(options: argparse.Namespace) -> dict[str, str | None]:
    """The columns that flags name, None for the usual ones."""
    return {what: getattr(options, what, None) for what in USUAL}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manifest of a table."""

    def scanned(options: argparse.Namespace) -> Iterator[Utterance | Problem]:
        given = [entry.partition("=") for entry in options.set]
        if wrong := [name for name, equals, value in given if not (name and equals and value)]:
            raise InputError(f"--set {wrong[0]}: give NAME=FOLDER")
        return scan(
            options.data,
            Segments(options.out),
            columns=given_columns(options),
            folder=options.folder,
            variables={name: value for name, _, value in given},
        )

    parser = command_line("table", __doc__ or "", "--data clips.tsv --out exp/manifest.jsonl")
    add_column_flags(parser, USUAL)
    parser.add_argument("--folder", type=Path, help="where relative paths begin")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=FOLDER", help="fill in {NAME} in paths"
    )
    return prepare(parser, arguments, scanned)


if __name__ == "__main__":
    sys.exit(main())

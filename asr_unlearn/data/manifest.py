"""The manifest: one utterance a line, checked when it is read."""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.documents import parse_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import absolute, atomic_write, read_lines
from asr_unlearn.runtime.text import is_utf8, normal_name, normal_text

SUBSETS = ("train", "dev", "test")
# Keys of each line.
REQUIRED = {"id", "audio", "speaker", "seconds"}


OPTIONAL = ("text", "label", "subset", "sha256", "language")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One recording and its metadata.

    The transcript is normalised by `normal_text`; `id`, `speaker` and `label` by `normal_name`, so
    that names that look alike are equal.

    Attributes:
        id: unique name.
        audio: path of the recording.
        speaker: name of the speaker.
        seconds: length, measured by `validate`; a corpus scanner writes 0.0.
        text: transcript.
        label: class of the utterance; None for its speaker.
        subset: the corpus' own "train", "dev" or "test"; speakers of the last two are never trained
            on.
        sha256: digest of the file's content, measured by `validate`.
        language: of the transcript, for a multilingual Whisper; None for the model's.
    """

    id: str
    audio: Path
    speaker: str
    seconds: float
    text: str | None = None
    label: str | None = None
    subset: str | None = None
    sha256: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        for key, form in (
            ("id", normal_name),
            ("speaker", normal_name),
            ("label", normal_name),
            ("language", normal_name),
            ("text", normal_text),
        ):
            value = getattr(self, key)
            if value is not None:
                # The only way to set a field of a frozen class.
                object.__setattr__(self, key, form(value))


def content(utterances: Iterable[Utterance]) -> list[list[Any]]:
    """The metadata of utterances without paths, to take a digest of."""
    # Without languages the digest is that of earlier releases.
    return [
        [u.id, u.speaker, u.seconds, u.text, u.label, u.sha256, *filter(None, [u.language])]
        for u in utterances
    ]


def read_manifest(path: Path | str) -> list[Utterance]:
    """Read JSON lines; relative audio paths are resolved against the manifest's folder.

    Raises:
        InputError: a line, which is named, is not an utterance, names no speaker, or has the id of
            another; or the file is not UTF-8.
    """
    path = Path(path)
    folder = absolute(path).parent
    utterances: list[Utterance] = []
    first: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            utterance = _parse(parse_json(line), folder)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if utterance.id in first:
            raise InputError(
                f"{path}, lines {first[utterance.id]} and {number}: two utterances have the id "
                f"{utterance.id!r} (white space at the ends and invisible characters do not "
                "count); give each its own"
            )
        first[utterance.id] = number
        utterances.append(utterance)
    return utterances


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write JSON lines, atomically; audio below the manifest's folder is stored relative to it."""
    folder = absolute(path).parent
    # Bytes of a file's name that are not UTF-8 become escapes, as JSON has them.
    with (
        atomic_write(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace") as lines,
    ):
        for utterance in utterances:
            audio = absolute(utterance.audio)
            stored = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
            row = {k: v for k, v in asdict(utterance).items() if v is not None}
            row["audio"] = stored.as_posix()
            lines.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _parse(row: Any, folder: Path) -> Utterance:
    if not isinstance(row, dict):
        raise InputError(f"expected a JSON object, found {type(row).__name__}")
    known = {field.name for field in fields(Utterance)}
    if unknown := row.keys() - known:
        raise InputError(f"unknown keys {sorted(unknown)}; known are {sorted(known)}")
    if missing := REQUIRED - row.keys():
        raise InputError(f"missing keys {sorted(missing)}")
    for key, value in row.items():
        required = (int, float) if key == "seconds" else (str,)
        optional = key in OPTIONAL and value is None
        if isinstance(value, bool) or not (optional or isinstance(value, required)):
            wanted = "a number" if key == "seconds" else "a string"
            raise InputError(f"{key} must be {wanted}, found {value!r}")
    if not 0 <= row["seconds"] < math.inf:
        raise InputError(f"seconds must be 0 or more, and 0 if unknown, found {row['seconds']}")
    if (subset := row.get("subset")) not in (*SUBSETS, None):
        raise InputError(
            f"subset must be {', '.join(map(repr, SUBSETS))}, null or left out, found {subset!r}"
        )
    if not row["audio"].strip("/.") or not _is_path(row["audio"]):
        raise InputError(f"audio is no path of a file: {row['audio']!r}; name the recording")
    utterance = Utterance(
        **{**row, "audio": folder / row["audio"], "seconds": float(row["seconds"])}
    )
    for key in ("id", "speaker", "label", "language", "text"):
        value = getattr(utterance, key)
        if key in ("id", "speaker") and not value:
            raise InputError(f"{key} is empty: {row[key]!r}; every utterance needs one")
        if value and not is_utf8(value):
            raise InputError(f"{key} is no text: {value!r} holds half a character; write it anew")
    return utterance


def _is_path(text: str) -> bool:
    """Whether a file can be called so."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False

"""The manifest: one utterance a line, and the checks that keep bad ones out of training."""

import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from asr_unlearn.audio import SAMPLE_RATE
from asr_unlearn.errors import InputError
from asr_unlearn.files import read_text, write_aside
from asr_unlearn.measuring import measure
from asr_unlearn.normal_form import is_utf8, normal_name, normal_text, printable
from asr_unlearn.spelling import NAMES, respelled, say_once, spelling_of

SUBSETS = ("train", "dev", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One recording and what is known of it.

    `seconds` and `sha256`, of the file's content, are measured by `validate`; a corpus scanner
    writes 0.0 and none. `subset` is the corpus' own division, "train", "dev" or "test": speakers of
    the last two are never trained on.

    Whoever makes one gets the transcript in the form of `normal_text`, and `id`, `speaker` and
    `label` in that of `normal_name`: names that look alike are equal.
    """

    id: str
    audio: Path
    speaker: str
    seconds: float
    text: str | None = None
    label: str | None = None
    subset: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        for key, form in (
            ("id", normal_name),
            ("speaker", normal_name),
            ("label", normal_name),
            ("text", normal_text),
        ):
            value = getattr(self, key)
            if value is not None:
                # The only way to set a field of a frozen class.
                object.__setattr__(self, key, form(value))


def content(utterances: Iterable[Utterance]) -> list[list[Any]]:
    """All that is known of utterances but where the recordings lie: what to take a digest of."""
    return [[u.id, u.speaker, u.seconds, u.text, u.label, u.sha256] for u in utterances]


@dataclass(frozen=True)
class Problem:
    """Why an utterance was left out, in text that can be printed."""

    id: str
    reason: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", printable(self.id))
        object.__setattr__(self, "detail", printable(self.detail))


@dataclass(frozen=True)
class Validation:
    """Every utterance checked is either in `kept` or named, once, in `problems`."""

    kept: list[Utterance]
    problems: list[Problem]


def read_manifest(path: Path) -> list[Utterance]:
    """Read JSON lines; relative audio paths are resolved against the manifest's folder.

    Raises ValueError naming file and line for a line that is not an utterance, that names no
    speaker, or that has the id of another; and for a file that is not UTF-8.
    """
    folder = absolute(path).parent
    utterances: list[Utterance] = []
    first: dict[str, int] = {}
    # Not splitlines: a transcript may hold what Unicode takes for the end of a line.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            utterance = _parse(json.loads(line), folder)
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
        write_aside(path) as aside,
        aside.open("w", encoding="utf-8", errors="backslashreplace") as lines,
    ):
        for utterance in utterances:
            audio = absolute(utterance.audio)
            stored = audio.relative_to(folder) if audio.is_relative_to(folder) else audio
            row = {k: v for k, v in asdict(utterance).items() if v is not None}
            row["audio"] = stored.as_posix()
            lines.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def absolute(path: Path) -> Path:
    """The whole path, without ".."."""
    # Links are not followed (Path.resolve would): behind one the name may lack its suffix.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _parse(row: Any, folder: Path) -> Utterance:
    if not isinstance(row, dict):
        raise InputError(f"expected a JSON object, found {type(row).__name__}")
    known = {field.name for field in fields(Utterance)}
    if unknown := row.keys() - known:
        raise InputError(f"unknown keys {sorted(unknown)}; known are {sorted(known)}")
    if missing := {"id", "audio", "speaker", "seconds"} - row.keys():
        raise InputError(f"missing keys {sorted(missing)}")
    for key, value in row.items():
        required = (int, float) if key == "seconds" else (str,)
        optional = key in ("text", "label", "subset", "sha256") and value is None
        if isinstance(value, bool) or not (optional or isinstance(value, required)):
            wanted = "a number" if key == "seconds" else "a string"
            raise InputError(f"{key} must be {wanted}, found {value!r}")
    if not 0 <= row["seconds"] < math.inf:
        raise InputError(f"seconds must be 0 or more, and 0 if unknown, found {row['seconds']}")
    if (subset := row.get("subset")) not in (*SUBSETS, None):
        raise InputError(
            f"subset must be {', '.join(map(repr, SUBSETS))}, null or left out, found {subset!r}"
        )
    utterance = Utterance(
        **{**row, "audio": folder / row["audio"], "seconds": float(row["seconds"])}
    )
    for key in ("id", "speaker", "label", "text"):
        value = getattr(utterance, key)
        if key in ("id", "speaker") and not value:
            raise InputError(f"{key} is empty: {row[key]!r}; every utterance needs one")
        if value and not is_utf8(value):
            raise InputError(f"{key} is no text: {value!r} holds half a character; write it anew")
    return utterance


def conv_frames(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Frames left of `samples` by unpadded convolutions: what a CTC front end emits."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = max((samples - kernel) // stride + 1, 0)
    return samples


def validate(
    utterances: Iterable[Utterance],
    *,
    alphabet: Collection[str] | None = None,
    frames: Callable[[int], int] | None = None,
    min_seconds: float = 0.1,
    max_seconds: float = 35.0,
    workers: int | None = None,
    progress: bool = True,
) -> Validation:
    """Decode every file once, on all cores, and sort the utterances into usable and not.

    `alphabet` holds the characters a transcript may contain (the space between words is always
    allowed: vocabularies spell it as they like); where its letters have one case, transcripts are
    put in that case. `frames` maps samples at 16 kHz to CTC frames.
    Without a transcript (`text` None, a corpus for classification) the transcript checks do not
    apply. Kept utterances keep their order and carry measured seconds and the
    digest of their recording, so that whoever reads the manifest sees that one was replaced.

    The reason of a problem is the first that applies of: "duplicate id" (the first of them stays),
    "name is not UTF-8" (no manifest could hold it), "no speaker", "empty transcript", "unknown
    characters", "missing audio", "undecodable audio", "too short", "too long", "transcript too
    long". Raises ValueError for limits that are none.
    """
    if not 0 <= min_seconds <= max_seconds:
        raise InputError(f"recordings cannot last from {min_seconds} to {max_seconds} s")
    problems: list[Problem] = []
    readable: list[Utterance] = []
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.id in first:
            detail = f"{utterance.audio} has the id of {first[utterance.id].audio}"
            problems.append(Problem(utterance.id, "duplicate id", detail))
            continue
        first[utterance.id] = utterance
        utterance = _fitted(utterance, alphabet)
        if problem := _name_problem(utterance) or _transcript_problem(utterance, alphabet):
            problems.append(problem)
        else:
            readable.append(utterance)

    kept: list[Utterance] = []
    measured = measure([u.audio for u in readable], workers, progress)
    for utterance, found in zip(readable, measured, strict=True):
        samples = found.samples
        utterance = replace(utterance, seconds=samples / SAMPLE_RATE, sha256=found.sha256)
        problem = (
            Problem(utterance.id, found.reason, found.detail)
            if found.reason
            else _length_problem(utterance, samples, min_seconds, max_seconds, frames)
        )
        if problem:
            problems.append(problem)
        else:
            kept.append(utterance)
    return Validation(kept, problems)


def _name_problem(utterance: Utterance) -> Problem | None:
    names = {
        "path": str(utterance.audio),
        "id": utterance.id,
        "speaker": utterance.speaker,
        "label": utterance.label or "",
        "transcript": utterance.text or "",
    }
    for kind, name in names.items():
        if not is_utf8(name):
            return Problem(utterance.id, "name is not UTF-8", f"{kind} {name}; rename it")
    if not utterance.speaker:
        return Problem(utterance.id, "no speaker", f"the speaker of {utterance.audio} has no name")
    return None


def _fitted(utterance: Utterance, alphabet: Collection[str] | None) -> Utterance:
    """The utterance, its transcript in the case of the alphabet if that makes it fit."""
    if alphabet is None or utterance.text is None or not _unknown(utterance.text, alphabet):
        return utterance
    spelling = spelling_of(alphabet)
    text = respelled(utterance.text, spelling)
    if _unknown(text, alphabet):
        return utterance
    say_once(f"transcripts are put {NAMES[spelling]}, as the alphabet is")
    return replace(utterance, text=text)


def _unknown(text: str, alphabet: Collection[str]) -> set[str]:
    return set(text) - {" ", *alphabet}


def _transcript_problem(utterance: Utterance, alphabet: Collection[str] | None) -> Problem | None:
    if utterance.text is None:
        return None
    if not utterance.text.strip():
        return Problem(utterance.id, "empty transcript", f"no words for {utterance.audio}")
    if alphabet is not None and (unknown := _unknown(utterance.text, alphabet)):
        named = " ".join(repr(character) for character in sorted(unknown))
        return Problem(utterance.id, "unknown characters", f"{named} in {utterance.text!r}")
    return None


def _length_problem(
    utterance: Utterance,
    samples: int,
    min_seconds: float,
    max_seconds: float,
    frames: Callable[[int], int] | None,
) -> Problem | None:
    seconds = f"{utterance.audio} lasts {utterance.seconds:.2f} s"
    if utterance.seconds < min_seconds:
        return Problem(utterance.id, "too short", f"{seconds}, the least is {min_seconds:g} s")
    if utterance.seconds > max_seconds:
        return Problem(utterance.id, "too long", f"{seconds}, the most is {max_seconds:g} s")
    if utterance.text is None or frames is None:
        return None
    # CTC puts a blank between equal neighbours, so they cost a frame more; with fewer frames the
    # loss is infinite and its gradient NaN.
    repeats = sum(a == b for a, b in pairwise(utterance.text))
    needed, available = len(utterance.text) + repeats, frames(samples)
    if needed > available:
        detail = f"{seconds}, {available} frames; its transcript needs {needed}"
        return Problem(utterance.id, "transcript too long", detail)
    return None

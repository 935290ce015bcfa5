"""What lies in a model's folder: transcripts, metrics, run.json and the deletion record."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asr_unlearn.evaluation.results import Model, ResultsError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """One utterance as one model heard it; None where the evaluation left a field out.

    `errors` of `length` words or, of a classifier, of one class.
    """

    id: str
    part: str
    speaker: str
    seconds: float | None
    reference: str | None
    hypothesis: str | None
    loss: float | None
    errors: int | None
    length: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A model's folder. A file that is missing is named in `missing`.

    `record` is the deletion record, which only an unlearned model has.
    """

    transcripts: list[Transcript]
    metrics: list[dict[str, float]]
    settings: Mapping[str, Any]
    missing: tuple[str, ...]
    record: Mapping[str, Any] | None = None


Runs = Mapping[tuple[str, int], Run]


def key(model: Model) -> tuple[str, int]:
    """Names one model among all seeds."""
    return model.name, model.seed


def read_run(folder: Path, answers: Path | None = None) -> Run:
    """Read what there is; raises ResultsError that names file and line when one is broken.

    `answers` is the folder for what the model answers, where that is not its own (see
    asr_unlearn.runtime.cache).
    """
    transcripts = _lines((answers or folder) / "utterances.jsonl", _transcript)
    metrics = _lines(folder / "metrics.jsonl", _numbers_only)
    settings = _object(folder / "run.json", "write the run folder again")
    record = _object(folder / "deletion_record.json", "evaluate the model again")
    present = {"utterances.jsonl": transcripts, "metrics.jsonl": metrics, "run.json": settings}
    missing = tuple(name for name, content in present.items() if content is None)
    return Run(transcripts or [], metrics or [], settings or {}, missing, record)


def _lines(path: Path, parse: Callable[[dict[str, Any]], T]) -> list[T] | None:
    if not path.exists():
        return None
    rows = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                rows.append(parse(json.loads(line)))
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise ResultsError(
                    f"{path}, line {number}: cannot be read ({error!r}); evaluate the model again"
                ) from None
    return rows


def _transcript(row: dict[str, Any]) -> Transcript:
    loss = row.get("loss")
    return Transcript(
        id=row["id"],
        part=row["part"],
        speaker=row["speaker"],
        seconds=row.get("seconds"),
        reference=row.get("reference"),
        hypothesis=row.get("hypothesis"),
        loss=float(loss) if loss is not None and math.isfinite(loss) else None,
        # A class is right or wrong as a whole.
        errors=row.get("word_errors", row.get("errors")),
        length=row.get("words", 1 if "errors" in row else None),
    )


def _numbers_only(row: dict[str, Any]) -> dict[str, float]:
    """A metrics row without what cannot be drawn: text, and a loss that ran to infinity."""
    return {
        key: float(value)
        for key, value in row.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _object(path: Path, remedy: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ResultsError(f"{path}: not JSON ({error}); {remedy}") from None
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: not an object; {remedy}")
    return content

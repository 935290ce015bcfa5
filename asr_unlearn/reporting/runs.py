"""The files of a run folder: predictions, metrics, run.json and the deletion record."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from asr_unlearn.evaluation.results import Model, ResultsError
from asr_unlearn.runtime.cache import changed_since

T = TypeVar("T")
ROWS = "utterances.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One model's prediction for one utterance; None where the evaluation left a field out.

    `errors` counts wrong words of `length` words; a classifier's utterance has length 1.
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
    """A run folder; `missing` names the files that it lacks.

    `record` is the deletion record of an unlearned model.
    """

    predictions: list[Prediction]
    metrics: list[dict[str, float]]
    settings: Mapping[str, Any]
    missing: tuple[str, ...]
    record: Mapping[str, Any] | None = None


Runs = Mapping[tuple[str, int], Run]


def key(model: Model) -> tuple[str, int]:
    """Identifies one model among all seeds."""
    return model.name, model.seed


def read_run_files(folder: Path, predictions: Path) -> Run:
    """Read the files that exist.

    Args:
        folder: of the model.
        predictions: folder of its predictions (`asr_unlearn.runtime.cache.predictions_folder`).

    Raises:
        ResultsError: a file is broken, or predictions are not those of the evaluation; names file
            and line.
    """
    rows = _predictions(predictions / ROWS)
    metrics = _lines(folder / "metrics.jsonl", _numbers_only)
    settings = _object(folder / "run.json", "write the run folder again")
    record = _object(folder / "deletion_record.json", "evaluate the model again")
    present = {ROWS: rows, "metrics.jsonl": metrics, "run.json": settings}
    missing = tuple(name for name, content in present.items() if content is None)
    return Run(rows or [], metrics or [], settings or {}, missing, record)


def _predictions(path: Path) -> list[Prediction] | None:
    if path.exists() and changed_since(path):
        raise ResultsError(f"{path} is not as the evaluation wrote it; evaluate the model again")
    return _lines(path, _prediction)


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


def _prediction(row: dict[str, Any]) -> Prediction:
    loss = row.get("loss")
    return Prediction(
        id=row["id"],
        part=row["part"],
        speaker=row["speaker"],
        seconds=row.get("seconds"),
        reference=row.get("reference"),
        hypothesis=row.get("hypothesis"),
        loss=float(loss) if loss is not None and math.isfinite(loss) else None,
        errors=row.get("word_errors", row.get("errors")),
        length=row.get("words", 1 if "errors" in row else None),
    )


def _numbers_only(row: dict[str, Any]) -> dict[str, float]:
    """A metrics row without text and infinite losses, which cannot be drawn."""
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

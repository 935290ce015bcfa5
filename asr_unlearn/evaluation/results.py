"""results.json, the source of every figure in the report: its schema, writing and reading."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from asr_unlearn.runtime.documents import parse_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

SCHEMA = 2
# What results.json begins with.
RESULT_KEYS = ("schema", "models")
# The names of the models that all others are compared with.
ORIGINAL, RETRAINED = "original", "retrained"


class ResultsError(InputError):
    """results.json, or a file of the run folders beside it, cannot be used."""


@dataclass(frozen=True, slots=True)
class Model:
    """The figures of one saved model; `record` is its entry in results.json."""

    name: str
    seed: int
    folder: Path
    record: Mapping[str, Any]

    def figure(self, *keys: str) -> float | None:
        """Return the figure under nested keys, as in `figure("wer", "forget")`.

        None where it was not computed.
        """
        found: Any = self.record
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        return float(found)

    def interval(self, metric: str, part: str) -> tuple[float, float] | None:
        """Return the 95% interval of a figure over speakers; None where it was not computed."""
        return _bounds(self.record.get("ci95"), metric, part)

    def gap_interval(self, metric: str, part: str) -> tuple[float, float] | None:
        """Return that of the figure's difference from the retrained model's."""
        return _bounds(self.record.get("gap_ci95"), metric, part)


def _bounds(intervals: Any, metric: str, part: str) -> tuple[float, float] | None:
    bounds = (intervals or {}).get(metric, {}).get(part)
    return None if bounds is None else (float(bounds[0]), float(bounds[1]))


@dataclass(frozen=True, slots=True)
class Results:
    """A results.json in the present schema; `record` is its content."""

    path: Path
    record: Mapping[str, Any]
    models: tuple[Model, ...]


def read_results(path: Path) -> Results:
    """Read and check a results.json.

    Raises:
        ResultsError: there is no such file, it does not fit the schema, or another version
            of asr_unlearn wrote it.
    """
    try:
        record = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such file; run the evaluation first") from None
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path}: not JSON ({error}); run the evaluation again") from None
    except InputError as error:
        raise ResultsError(f"{path}: {error}; run the evaluation again") from None
    _check_version(record, path)
    _check(record, path)
    return Results(path, record, models_of(record, path.parent))


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Check `results` against the schema and write them; a refused file leaves the old one.

    Raises:
        ResultsError: the results do not fit the present schema, or a figure is not finite.
    """
    if results.get("schema") != SCHEMA:
        raise ResultsError(f"{path}: schema {results.get('schema')!r}; only {SCHEMA} is written")
    _check(results, path)
    write_json(path, results)


def models_of(record: Mapping[str, Any], root: Path) -> tuple[Model, ...]:
    """Return the models of a results record whose paths are relative to `root`."""
    return tuple(
        Model(entry["name"], entry["seed"], root / entry["path"], entry)
        for entry in record["models"]
    )


@cache
def _validator() -> Draft202012Validator:
    text = files(__package__).joinpath("results.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _check(record: Any, path: Path) -> None:
    for where, number in _numbers(record, ""):
        if not math.isfinite(number):
            raise ResultsError(
                f"{path}: {where} is {number}; leave a figure that could not be computed out"
            )
    errors = sorted(_validator().iter_errors(record), key=lambda error: error.json_path)
    if errors:
        listed = "\n".join(f"  {error.json_path}: {error.message}" for error in errors[:10])
        more = f"\n  and {len(errors) - 10} more" if len(errors) > 10 else ""
        raise ResultsError(f"{path}: does not fit schema {SCHEMA}:\n{listed}{more}")
    seen: set[tuple[str, int]] = set()
    for model in record["models"]:
        key = (model["name"], model["seed"])
        if key in seen:
            raise ResultsError(f"{path}: model {key[0]!r} with seed {key[1]} appears twice")
        seen.add(key)


def _check_version(record: Any, path: Path) -> None:
    """Raises ResultsError if the file is of another schema version."""
    version = record.get("schema") if isinstance(record, Mapping) else None
    if version is None:
        raise ResultsError(f'{path}: has no "schema" key, so asr_unlearn did not write it')
    if version == SCHEMA and not isinstance(version, bool | float):
        return
    versions = record.get("versions")
    writer = versions.get("asr_unlearn") if isinstance(versions, Mapping) else None
    by = f" (written by asr_unlearn {writer})" if writer else ""
    newer = isinstance(version, int) and version > SCHEMA
    remedy = "update asr_unlearn" if newer else "run the evaluation again to write it anew"
    raise ResultsError(
        f"{path}: schema {version!r}{by}, but this asr_unlearn reads schema {SCHEMA}: {remedy}"
    )


def _numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{where}[{index}]")

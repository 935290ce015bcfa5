"""results.json: its schema, read and written. The one source of every figure in the report."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

SCHEMA = 1
PARTS = ("forget", "forget_heldout", "retain", "unseen", "test")


class ResultsError(InputError):
    """results.json, or a file of the run folders beside it, cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """One saved model, as it was evaluated."""

    name: str
    seed: int
    folder: Path
    record: Mapping[str, Any]

    def figure(self, *keys: str) -> float | None:
        """The figure below `keys`, such as ("wer", "forget"); None where it was not computed."""
        found: Any = self.record
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                return None
            found = found[key]
        return float(found)

    def interval(self, metric: str, part: str) -> tuple[float, float] | None:
        """The 95% interval of a rate, bootstrapped over speakers."""
        bounds = self.record.get("ci95", {}).get(metric, {}).get(part)
        return None if bounds is None else (float(bounds[0]), float(bounds[1]))


@dataclass(frozen=True, slots=True)
class Results:
    """A results.json that fits the schema; `record` is its content."""

    path: Path
    record: Mapping[str, Any]
    models: tuple[Model, ...]


def read_results(path: Path) -> Results:
    """Read and check a results.json; raises ResultsError that says what to do."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultsError(f"{path}: no such file; run the evaluation first") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ResultsError(f"{path}: not JSON ({error}); run the evaluation again") from None
    _check(record, path)
    models = tuple(
        Model(entry["name"], entry["seed"], path.parent / entry["path"], entry)
        for entry in record["models"]
    )
    return Results(path, record, models)


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Check `results` and publish them at once; a file that stands there survives a refusal."""
    _check(results, path)
    write_json(path, results)


@cache
def _validator() -> Draft202012Validator:
    text = files(__package__).joinpath("results.schema.json").read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _check(record: Any, path: Path) -> None:
    _check_version(record, path)
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
            raise ResultsError(f"{path}: model {key[0]!r} with seed {key[1]} stands there twice")
        seen.add(key)


def _check_version(record: Any, path: Path) -> None:
    version = record.get("schema") if isinstance(record, Mapping) else None
    if version == SCHEMA and not isinstance(version, bool):
        return
    if version is None:
        raise ResultsError(f'{path}: has no "schema" key, so it is not a results.json of ours')
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

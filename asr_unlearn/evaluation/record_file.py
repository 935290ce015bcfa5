"""The file of a deletion record: its name, its schema and what it must hold."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.errors import InputError

NAME = "deletion_record.json"
SCHEMA = 2
PATHS = ("manifest", "split", "original", "results")


def read_record(path: Path) -> dict[str, Any]:
    """Read the record at `path`.

    Raises:
        InputError: it is damaged, or of another schema version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    remedy = "evaluate the model again, which writes it anew"
    if isinstance(record, dict) and record.get("schema", SCHEMA) != SCHEMA:
        raise InputError(f"{path} has schema {record['schema']!r}, not {SCHEMA}: {remedy}")
    kinds = {"created": str, "beams": int, "paths": dict, "sha256": dict, "figures": dict}
    if not isinstance(record, dict) or not (
        all(isinstance(record.get(name), kind) for name, kind in kinds.items())
        and all(isinstance(record["paths"].get(name), str) for name in PATHS)
        and all(isinstance(found, dict) for found in record["figures"].values())
    ):
        raise InputError(f"{path} is damaged: {remedy}")
    return record


def path_of(folder: Path, record: Mapping[str, Any], name: str) -> Path:
    """A path of the record, which is relative to the model's folder."""
    return Path(os.path.normpath(linked(folder) / record["paths"][name]))


def report_of(results: Path) -> Path:
    """Where the report of a results.json is."""
    stem = "report" if results.stem == "results" else f"{results.stem}-report"
    return results.with_name(f"{stem}.md")


def linked(path: Path) -> Path:
    """The path with the links in its parent resolved, so that ".." leads where it seems to."""
    return path.parent.resolve() / path.name

"""run.json of a model folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError


def read_run(folder: Path) -> dict[str, Any]:
    """Return the run.json of a model folder; empty for a model made elsewhere."""
    path = folder / "run.json"
    if not path.exists():
        return {}
    run = dict(read_json(path))
    _check(run, path)
    return run


def _check(run: Mapping[str, Any], path: Path) -> None:
    """Raises InputError for a record of another kind than `asr-unlearn` writes."""
    options = run.get("options", {})
    kinds: list[tuple[str, Any, type | tuple[type, ...]]] = [
        ("options", options, Mapping),
        *((name, run[name], int) for name in ("seed", "steps") if name in run),
        *((name, run[name], (int, float)) for name in ("seconds",) if name in run),
        *((name, run[name], str) for name in ("kind", "stopped", "name") if name in run),
        *((name, run[name], Mapping) for name in ("original", "reference_model") if run.get(name)),
    ]
    for name in ("original", "reference_model"):
        if isinstance(source := run.get(name), Mapping):
            kinds.append((f"{name}.path", source.get("path"), str))
    if run.get("kind") == "train" and isinstance(options, Mapping):
        kinds.append(("options.parts", options.get("parts"), list))
    for name, value, kind in kinds:
        if isinstance(value, bool) or not isinstance(value, kind):
            raise InputError(
                f"{path}: {name} is {value!r}, which asr_unlearn did not write; make the model "
                "again, or remove the file if the model was made elsewhere"
            )

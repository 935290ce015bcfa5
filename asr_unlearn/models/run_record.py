"""run.json of a model folder; files of earlier versions are converted on reading."""

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
    run = upgraded_run(read_json(path))
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


def upgraded_run(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run.json of any version with the present keys and values.

    An entry of results.json has the same keys and is converted likewise.
    """
    run = _renamed(record)
    if isinstance(options := run.get("options"), Mapping):
        options = run["options"] = _renamed(options)
        stop = options.get("stop")
        if isinstance(stop, Mapping) and stop.get("on") == "both":
            options["stop"] = {**stop, "on": "any"}
    if isinstance(stopped := run.get("stopped"), str):
        run["stopped"] = stopped.replace("reached a stranger's", "reached the target")
    return run


def _renamed(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with the present name of the reference model, in the same order."""
    return {("reference_model" if k == "outsider" else k): v for k, v in mapping.items()}

"""run.json of a model folder; files of earlier versions are converted on reading."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_run(folder: Path) -> dict[str, Any]:
    """Return the run.json of a model folder; empty for a model made elsewhere."""
    path = folder / "run.json"
    return upgraded_run(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


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

"""What a run cost, as results.json has it."""

from collections.abc import Mapping
from typing import Any

from asr_unlearn.runtime.provenance import without_folders
from asr_unlearn.training.clock import Cost


def cost_of(run: Mapping[str, Any], retrained: Mapping[str, Any]) -> dict[str, Any]:
    """Return time, memory and options from a run.json; empty for a model made elsewhere.

    Args:
        retrained: run.json of the retrained model, for the relative cost; empty without one.
    """
    if "seconds" not in run:
        return {}
    cost = {"seconds": run["seconds"], "steps": run["steps"]}
    if run.get("peak_bytes") is not None:
        cost["peak_bytes"] = run["peak_bytes"]
    entry: dict[str, Any] = {
        "parameters": run["parameters"],
        "seconds": run["seconds"],
        "steps": run["steps"],
        "options": {
            name: without_folders(value) if isinstance(value, str) else value
            for name, value in run["options"].items()
        },
        "cost": cost,
    }
    if passes := _passes(run):
        cost |= {"passes": passes, "phases": run["costs"]}
    if run["kind"] == "unlearn":
        entry |= {"unlearn_seconds": run["seconds"], "stopped": run["stopped"]}
        if run.get("warning"):
            entry["warning"] = run["warning"]
    if run["kind"] == "unlearn" or _is_another_retraining(run, retrained):
        if retrained.get("seconds"):
            cost["relative_to_retraining"] = run["seconds"] / retrained["seconds"]
        if passes and (whole := _passes(retrained)):
            cost["passes_relative_to_retraining"] = passes / whole
    return entry


def _is_another_retraining(run: Mapping[str, Any], retrained: Mapping[str, Any]) -> bool:
    """Whether a model was trained on the parts of the retrained one, for a shorter time perhaps."""
    own, parts = (given.get("options", {}).get("parts") for given in (run, retrained))
    return own is not None and own == parts and run["name"] != retrained["name"]


def _passes(run: Mapping[str, Any]) -> int:
    """Utterance passes of a run; 0 for one of before they were counted."""
    return sum(Cost(**cost).passes for cost in run.get("costs", {}).values())

"""The deletion record: which request was unlearned from which model, to what effect.

It holds hashes instead of names: the forget list stays with whoever made the request.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.replaced import check_recordings
from asr_unlearn.data.split import Split, read_content, read_split
from asr_unlearn.evaluation.error_rates import figures_by_part
from asr_unlearn.evaluation.predictions import transcribe
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest, write_json
from asr_unlearn.runtime.provenance import versions

logger = logging.getLogger(__name__)

NAME = "deletion_record.json"
# What may be deleted, the original above all: the unlearned model stays the same.
DISPENSABLE = ("manifest", "weights_before")
FIGURES = (
    *("wer", "cer", "accuracy", "loss", "ci95", "membership", "relearning", "speaker_id"),
    "gap_to_retrained",
)


def write_records(
    results: Mapping[str, Any], root: Path, manifest: Path, split: Path
) -> tuple[list[Path], list[Path]]:
    """Write the record of every unlearned model of an evaluation into its folder.

    Models that were trained, or made elsewhere, get none.

    Args:
        root: folder that the paths in `results` are relative to.

    Returns:
        The paths of the records, and the folders of models that were unlearned for another request
        than this split's, which get no record.
    """
    written, others = [], []
    request = read_split(split, manifest)
    for entry in results["models"]:
        folder = root / entry["path"]
        model = SavedModel.at(folder)
        run = model.run()
        if run.get("kind") != "unlearn":
            continue
        if run.get("request") != request.digest:
            others.append(folder)
            continue
        if not os.access(folder, os.W_OK):
            logger.warning(
                "%s is read-only, so it gets no deletion record; evaluate a writable copy", folder
            )
            continue
        paths = {"manifest": manifest, "split": split, "original": model.original()}
        record = {
            **_record(entry, run, request),
            "beams": results["beams"],
            **({"window": results["window"]} if "window" in results else {}),
            "paths": {
                name: os.path.relpath(_linked(path), _linked(folder))
                for name, path in paths.items()
            },
            # The original as it was when the run began, not as it is now.
            "sha256": {
                **hashes(folder, manifest, split),
                "weights_before": run["original"]["sha256"],
            },
        }
        _keep_figures(folder / NAME, record)
        write_json(folder / NAME, record)
        written.append(folder / NAME)
    return written, others


def _linked(path: Path) -> Path:
    """The path with the links in its parent resolved, so that ".." leads where it seems to."""
    return path.parent.resolve() / path.name


def _keep_figures(path: Path, record: dict[str, Any]) -> None:
    """Keep figures that an earlier evaluation of the same model has and this one has not."""
    try:
        before = _read(path)
    except (FileNotFoundError, ValueError):
        # There is no earlier record, or it is damaged.
        return
    if any(before.get(name) != record.get(name) for name in ("sha256", "beams", "window")):
        return
    for name, found in before["figures"].items():
        record["figures"][name] = found | record["figures"].get(name, {})


def _record(entry: Mapping[str, Any], run: Mapping[str, Any], request: Split) -> dict[str, Any]:
    """The run, the size of the request, and the figures."""
    return {
        "schema": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "unlearned": run["created"],
        "command": run["command"],
        "method": run["name"],
        "options": run["options"],
        "stopped": run["stopped"],
        "versions": {"unlearned": run["versions"], "recorded": versions()},
        "forgotten": {
            "speakers": len(request.forget_speakers),
            "labels": len(request.forget_labels),
            "utterances": len(request.parts["forget"]),
        },
        "figures": {name: entry[name] for name in FIGURES if name in entry},
    }


def hashes(folder: Path, manifest: Path, split: Path) -> dict[str, Any]:
    """Return the SHA-256 of everything recorded but the original; None for files that are gone.

    The forget list is hashed as its sorted speaker ids or labels, one a line.
    """
    # Without its manifest, which may have been deleted.
    content = read_content(split)
    names = [*content["forget_speakers"], *content.get("forget_labels", [])]
    listed = "".join(f"{name}\n" for name in sorted(names))
    model = SavedModel.at(folder)
    return {
        "forget_list": hashlib.sha256(listed.encode()).hexdigest(),
        "manifest": digest(manifest) if manifest.exists() else None,
        "split": digest(split),
        "weights_after": model.weights() or None,
        "settings_after": model.settings() or None,
    }


def differences(folder: Path) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the record of a model, the names of what has changed, and of what is gone.

    Raises:
        FileNotFoundError: there is no record, or no split.
        InputError: one of them is damaged.
    """
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: `asr-unlearn evaluate` writes it")
    record = _read(path)
    manifest, split, original = (
        _path(folder, record, name) for name in ("manifest", "split", "original")
    )
    weights = SavedModel.at(original).weights() if original.is_dir() else {}
    now = {**hashes(folder, manifest, split), "weights_before": weights or None}
    # Goes through what exists: a hash that was removed from the record counts as changed.
    other = [name for name, value in now.items() if record["sha256"].get(name) != value]
    gone = [name for name in other if name in DISPENSABLE and now[name] is None]
    return record, [name for name in other if name not in gone], gone


def _read(path: Path) -> dict[str, Any]:
    """Read the record at `path`; raises InputError, naming it, if it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    kinds = {"created": str, "beams": int, "paths": dict, "sha256": dict, "figures": dict}
    if not isinstance(record, dict) or any(
        not isinstance(record.get(name), kind) for name, kind in kinds.items()
    ):
        raise InputError(f"{path} is damaged: evaluate the model again, which writes it anew")
    return record


def _path(folder: Path, record: Mapping[str, Any], name: str) -> Path:
    """A path of the record, which is relative to the model's folder."""
    return Path(os.path.normpath(_linked(folder) / record["paths"][name]))


def changed_figures(
    folder: Path, record: Mapping[str, Any], device: torch.device, tolerance: float = 1e-4
) -> list[str]:
    """Evaluate a model again; return the rates and losses that differ by more than `tolerance`."""
    manifest, split = (_path(folder, record, name) for name in ("manifest", "split"))
    utterances = read_manifest(manifest)
    check_recordings(utterances)
    cached = shutil.ignore_patterns("*.jsonl", "*.key", "*.npz", "divergence.json")
    with TemporaryDirectory() as elsewhere:
        copy = SavedModel(folder.name, 0, Path(elsewhere) / "model", window=record.get("window"))
        shutil.copytree(folder, copy.folder, ignore=cached)
        rows = transcribe(
            copy,
            utterances,
            read_split(split, manifest),
            device=device,
            beams=record["beams"],
        )
    now = figures_by_part(rows)
    return [
        f"{figure} {part}: recorded {value:.4f}, now {now[figure].get(part)}"
        for figure in ("wer", "cer", "accuracy", "loss")
        for part, value in record["figures"].get(figure, {}).items()
        if abs(now[figure].get(part, float("inf")) - value) > tolerance
    ]

"""Compare a deletion record with the files that it is about."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.replaced import check_recordings
from asr_unlearn.data.split_file import read_split, read_unchecked_split
from asr_unlearn.evaluation.deletion_record import (
    content_digest,
    entry_of,
    figures_of,
    hashes,
    statement,
)
from asr_unlearn.evaluation.error_rates import figures_by_part
from asr_unlearn.evaluation.predictions import transcribe
from asr_unlearn.evaluation.record_file import NAME, path_of, read_record, report_of
from asr_unlearn.models.saved_model import SavedModel

# What may be deleted, the original above all: the unlearned model stays the same.
DISPENSABLE = ("manifest", "weights_before", "results")
# Who has the model alone, with a signed record, has no split either.
OF_THE_SPLIT = ("forget_list", "request", "split")
RATES = ("wer", "cer", "accuracy", "loss")


def differences(
    folder: Path, *, with_split: bool = True
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the record of a model, the names of what has changed, and of what is gone.

    Args:
        folder: of the model.
        with_split: whether the split must be there.

    Raises:
        FileNotFoundError: there is no record, or no split.
        InputError: one of them is damaged.
    """
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: `asr-unlearn evaluate` writes it")
    record = read_record(path)
    manifest, split, original, results = (
        path_of(folder, record, name) for name in ("manifest", "split", "original", "results")
    )
    weights = SavedModel.at(original).weights() if original.is_dir() else {}
    # Without its manifest, which may have been deleted.
    request = read_unchecked_split(split) if with_split or split.exists() else None
    now = {**hashes(folder, manifest, split, request, results), "weights_before": weights or None}
    # Goes through what exists: a hash that was removed from the record counts as changed.
    other = [name for name, value in now.items() if record["sha256"].get(name) != value]
    dispensable = DISPENSABLE if with_split else (*DISPENSABLE, *OF_THE_SPLIT)
    gone = [name for name in other if name in dispensable and now[name] is None]
    run = SavedModel.at(folder).run()
    # What the files say of one another, whatever hashes the record has.
    if run.get("request") != (now["request"] or record["sha256"].get("request")):
        other.append("request")
    if now["weights_after"] != run.get("weights", now["weights_after"]) or (
        now["weights_after"] == run.get("original", {}).get("sha256")
    ):
        other.append("weights_after")
    said = statement(run, request)
    said["versions"] = {**record.get("versions", {}), "unlearned": run.get("versions")}
    other += [name for name, value in said.items() if record.get(name) != value]
    if _lacks_figures(record["figures"], entry_of(folder, results)):
        other.append("figures")
    report = report_of(results)
    if report.exists() and not _is_of(report, record):
        other.append("report")
    if record.get("digest") != content_digest(record):
        other.append("record")
    return record, [name for name in dict.fromkeys(other) if name not in gone], gone


def _lacks_figures(recorded: Mapping[str, Any], entry: Mapping[str, Any] | None) -> bool:
    """Whether figures are missing, or differ from the entry in results.json."""
    complete = "membership" in recorded and "forget" in recorded.get("loss", {})
    complete &= any("forget" in recorded.get(name, {}) for name in ("wer", "accuracy"))
    return not complete or any(
        recorded.get(name, {}).get(part) != value
        for name, found in figures_of(entry or {}).items()
        for part, value in found.items()
    )


def _is_of(report: Path, record: Mapping[str, Any]) -> bool:
    """Whether the report is of the recorded results."""
    return str(record["sha256"].get("results")) in report.read_text(encoding="utf-8")


def changed_figures(
    folder: Path, record: Mapping[str, Any], device: torch.device, tolerance: float = 1e-4
) -> list[str]:
    """Evaluate a model again; return the rates and losses that differ by more than `tolerance`."""
    manifest, split = (path_of(folder, record, name) for name in ("manifest", "split"))
    with TemporaryDirectory() as elsewhere:
        model = SavedModel.at(folder)
        utterances = check_recordings(read_manifest(manifest))
        rows = transcribe(
            replace(model, cache=Path(elsewhere), window=record.get("window")),
            utterances,
            read_split(split, manifest),
            device=device,
            beams=record["beams"],
        )
    now, recorded = figures_by_part(rows), record["figures"]
    changed = []
    for figure in RATES:
        before, after = recorded.get(figure, {}), now.get(figure, {})
        for part in before | after:
            pair = (before.get(part), after.get(part))
            if None in pair or not abs(pair[0] - pair[1]) <= tolerance:
                changed.append(f"{figure} {part}: recorded {pair[0]}, now {pair[1]}")
    return changed

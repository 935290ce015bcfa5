"""The deletion records: hashes of the request, the data and the weights."""

from collections.abc import Mapping
from typing import Any

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.runs import Runs, key
from asr_unlearn.reporting.tables.table import Cell, Row, Table

# Enough of a SHA-256 to distinguish files; the record holds all of it.
SHOWN = 16
INPUTS = {
    "forget_list": "Forget list",
    "manifest": "Manifest",
    "split": "Split",
    "results": "Results",
}


def record_inputs(found: Comparison, runs: Runs) -> Table | None:
    """Hashes of forget list, manifest and split, in full; None without any record."""
    records = _records(found, runs)
    if not records:
        return None
    rows = []
    for name, heading in INPUTS.items():
        digests = dict.fromkeys(r.get("sha256", {}).get(name) for _, _, r in records)
        rows += [Row(heading, (Cell(str(digest)),)) for digest in digests if digest]
    caption = (
        "Each unlearned model has a deletion_record.json in its folder. "
        "asr-unlearn verify --model FOLDER compares it with the files; --full true also "
        "evaluates the model again. The forget list is hashed as its sorted ids, one a line, "
        "with the salt in the split as the key (HMAC)."
    )
    return Table("What was forgotten", ("Input", "SHA-256"), tuple(rows), caption)


def records(found: Comparison, runs: Runs) -> Table | None:
    """A row for each unlearned model with a record; None without any."""
    rows = [Row(name, _cells(seed, record)) for name, seed, record in _records(found, runs)]
    if not rows:
        return None
    caption = f"The first {SHOWN} digits of the SHA-256 of the weights."
    headings = ("Model", "Seed", "Before", "After", "Unlearned")
    title = "Weights before and after"
    return Table(title, headings, tuple(rows), caption, of_models=True)


def _records(found: Comparison, runs: Runs) -> list[tuple[str, int, Mapping[str, Any]]]:
    return [
        (entry.name, model.seed, record)
        for entry in found.entries
        for model in entry.models
        if (record := runs[key(model)].record) is not None
    ]


def _cells(seed: int, record: Mapping[str, Any]) -> tuple[Cell, ...]:
    hashes = record.get("sha256", {})
    weights = [hashes.get(f"weights_{when}") or {} for when in ("before", "after")]
    return (
        Cell(str(seed)),
        *(Cell(", ".join(d[:SHOWN] for d in of.values()) or formats.MISSING) for of in weights),
        Cell(str(record.get("unlearned", formats.MISSING)).replace("T", " ")),
    )

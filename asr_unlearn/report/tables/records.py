"""The deletion records: what was forgotten from which model, by hashes that can be checked."""

from collections.abc import Mapping
from typing import Any

from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison
from asr_unlearn.report.runs import Runs, key
from asr_unlearn.report.tables.table import Cell, Row, Table

# Enough of a SHA-256 to tell files apart by eye; the whole of it stands in the record.
SHOWN = 16
INPUTS = {"forget_list": "Forget list", "manifest": "Manifest", "split": "Split"}


def record_inputs(found: Comparison, runs: Runs) -> Table | None:
    """What the records say was forgotten, and from which data; each hash they name, in full."""
    records = _records(found, runs)
    if not records:
        return None
    rows = []
    for name, heading in INPUTS.items():
        digests = dict.fromkeys(str(r.get("sha256", {}).get(name)) for _, _, r in records)
        rows += [Row(heading, (Cell(digest),)) for digest in digests]
    caption = (
        "Beside each unlearned model lies deletion_record.json. The command "
        "asr-unlearn verify --model FOLDER compares it with the files, and with --full true "
        "measures its figures anew. The forget list is hashed as its sorted ids, one a line."
    )
    return Table("What was forgotten", ("Input", "SHA-256"), tuple(rows), caption)


def records(found: Comparison, runs: Runs) -> Table | None:
    """A row for each unlearned model that has a record; None without any."""
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
        *(Cell(", ".join(d[:SHOWN] for d in of.values()) or wording.MISSING) for of in weights),
        Cell(str(record.get("unlearned", wording.MISSING)).replace("T", " ")),
    )

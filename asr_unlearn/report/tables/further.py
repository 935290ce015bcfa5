"""Figures that this report has no place of its own for: shown all the same, by their key."""

from collections.abc import Mapping

from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison
from asr_unlearn.report.tables import cost, membership, speakers
from asr_unlearn.report.tables.column import Column, figures, seed_remark
from asr_unlearn.report.tables.table import Table

BLOCKS_SHOWN = {
    *("seed", "parameters", "seconds", "unlearn_seconds", "steps", "options", "cost"),
    *("wer", "cer", "accuracy", "loss", "ci95", "gap_to_retrained", "relearning", "confusion"),
}
COLUMNS_SHOWN = [
    *(*membership.AUC, *membership.SIZES, *membership.FEW_ALARMS),
    *(*speakers.PROBE, *speakers.JUDGE, *speakers.VERIFICATION, speakers.TRIALS, *cost.DISTANCES),
]


def further(found: Comparison) -> Table | None:
    """A column for each figure below a key that no other table knows."""
    shown = {column.keys for column in COLUMNS_SHOWN}
    paths = dict.fromkeys(
        path for entry in found.entries for model in entry.models for path in _paths(model.record)
    )
    columns = [
        Column(" ".join(path), path, wording.number)
        for path in paths
        if path[0] not in BLOCKS_SHOWN and path not in shown
    ]
    return figures("Further figures", seed_remark(found), columns, found)


def _paths(block: Mapping[str, object], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in block.items():
        if isinstance(value, Mapping):
            found += _paths(value, (*above, key))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((*above, key))
    return found

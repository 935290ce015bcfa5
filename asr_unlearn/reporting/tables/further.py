"""Figures of results.json that neither another table nor the summary shows, under their keys."""

from asr_unlearn.reporting import columns as known
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures, seed_remark
from asr_unlearn.reporting.tables.measures import measured_columns
from asr_unlearn.reporting.tables.table import Table

BLOCKS_SHOWN = {
    *("parameters", "seconds", "unlearn_seconds", "steps", "cost"),
    *("wer", "cer", "accuracy", "loss", "relearning", "quantisation", "cka", "layers", "overlong"),
}


def further(found: Comparison) -> Table | None:
    """A column for each such figure; None without any."""
    shown = {column.keys for column in [*known.defined(), *measured_columns()]}
    columns = [
        Column(" ".join(keys), keys, formats.number)
        for keys in dict.fromkeys(row.keys for row in found.rows)
        if keys[0] not in BLOCKS_SHOWN and keys not in shown
    ]
    return figures("Further figures", seed_remark(found), columns, found)

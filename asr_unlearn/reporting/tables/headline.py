"""The most important figures, for a README."""

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import (
    INFORMED,
    JUDGE,
    OF_RETRAINING,
    PROBE,
    Column,
    losses,
    present,
    rates,
)  # fmt: skip
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figure_cell, seed_remark
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def headline(found: Comparison) -> Table | None:
    """Rates, forget loss, AUC, speaker identity and time; None without any of them."""
    columns = [
        *rates(found.rate, ("forget", "retain", "test")),
        *losses("forget"),
        Column("AUC of the loss", ("membership", "loss_auc"), formats.number),
        Column("AUC, informed", INFORMED.auc, formats.number),
        Column("Speaker probe", PROBE[0].keys, formats.percent),
        Column("Speaker judge", JUDGE[0].keys, formats.percent),
        Column("Of retraining time", OF_RETRAINING.keys, formats.times),
    ]
    columns = present(columns, found)
    if not columns:
        return None
    rows = tuple(
        Row(e.name, tuple(_cell(e.name, column, found) for column in columns))
        for e in found.entries
    )
    headings = ("Model", *(column.heading for column in columns))
    return Table("Headline", headings, rows, seed_remark(found), of_models=True)


def _cell(model: str, column: Column, found: Comparison) -> Cell:
    """Without its interval, which stands in the report."""
    value = found.value(model, *column.keys)
    return figure_cell(value, column.form, found.fewer_seeds(value) if value else "")

"""Tables of what is measured on request: one file for each measure."""

from pathlib import Path

from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.measures.measure_table import MeasureTable
from asr_unlearn.reporting.tables.table import Table
from asr_unlearn.runtime.subclasses import named_classes

TABLES = named_classes(__package__, Path(__file__).parent, MeasureTable)


def measured(found: Comparison) -> list[Table | None]:
    """The table of each measure, None for one that was not made."""
    return [table.of(found) for table in TABLES.values()]


def measured_columns() -> list[Column]:
    """The columns of all these tables."""
    return [column for table in TABLES.values() for column in table.columns]

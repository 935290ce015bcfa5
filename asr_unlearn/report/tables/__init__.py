"""The report's tables: what they show, free of how it is drawn."""

from asr_unlearn.report.tables.corpus import left_out, options, split, versions
from asr_unlearn.report.tables.cost import distance_and_cost, endings
from asr_unlearn.report.tables.each_speaker import each_speaker
from asr_unlearn.report.tables.errors import details, each_seed, errors
from asr_unlearn.report.tables.further import further
from asr_unlearn.report.tables.gaps import closest, gaps
from asr_unlearn.report.tables.membership import few_alarms, membership, relearning
from asr_unlearn.report.tables.records import record_inputs, records
from asr_unlearn.report.tables.speakers import judge, probe, verification
from asr_unlearn.report.tables.table import Cell, Row, Table

__all__ = [
    "Cell", "Row", "Table", "closest", "details", "distance_and_cost", "each_seed", "each_speaker",
    "endings", "errors", "few_alarms", "further", "gaps", "judge", "left_out", "membership",
    "options", "probe", "record_inputs", "records", "relearning", "split", "verification",
    "versions",
]  # fmt: skip

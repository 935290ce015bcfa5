"""The base class of tables of what is measured on request."""

from abc import ABC
from typing import ClassVar

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables.build import figures, seed_remark
from asr_unlearn.reporting.tables.table import Table


class MeasureTable(ABC):
    """The columns of a measure in a table with a model a row.

    A new table is one file with a subclass.

    Attributes:
        name: of the measure.
        title: of the table.
        caption: of the table; {forgotten} stands for what was forgotten, speakers or classes, and
            {seeds} for a remark on the seeds.
        columns: figures, and how they are written.
        gaps: whether differences from the retrained model stand below the figures.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    caption: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    gaps: ClassVar[bool] = True

    @classmethod
    def of(cls, found: Comparison) -> Table | None:
        """The table; None where the measure was not made."""
        caption = cls.caption.format(forgotten=found.forgotten.many, seeds=seed_remark(found))
        return figures(cls.title, caption, cls.columns, found, gaps=cls.gaps)


def by_part(measure: str, headings: dict[str, str]) -> tuple[Column, ...]:
    """Columns of shares on forget and unseen utterances, and how many utterances there are.

    Args:
        headings: heading of each figure, whose key is PART_figure.
    """
    parts = ("forget", "unseen")
    shares = (
        Column(f"{heading}, {part}", (measure, f"{part}_{key}"), formats.percent, formats.points)
        for part in parts
        for key, heading in headings.items()
    )
    counts = (
        Column(f"Utterances, {part}", (measure, f"{part}_utterances"), formats.count)
        for part in parts
    )
    return (*shares, *counts)

"""Columns of figures, a model a row: where the figures stand and what is said below them."""

from collections.abc import Sequence
from dataclasses import dataclass

from asr_unlearn.evaluation.results import PARTS, Model
from asr_unlearn.report import wording
from asr_unlearn.report.comparison import RETRAINED, Comparison, Entry, Spread
from asr_unlearn.report.tables.table import Cell, Row, Table
from asr_unlearn.report.wording import Form


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures: its heading, where they stand, and how they are written.

    `gap` is how their distance from the retrained model's is written, for figures whose target
    that model is.
    """

    heading: str
    keys: tuple[str, ...]
    form: Form
    gap: Form | None = None


def figure_cell(found: Spread | None, form: Form, detail: str = "") -> Cell:
    if found is None:
        return Cell(wording.MISSING)
    return Cell(form.spread(found), detail, found.mean)


def by_part(metric: str, heading: str, form: Form, parts: Sequence[str] = PARTS) -> list[Column]:
    return [Column(f"{heading} {wording.PART_NAMES[part]}", (metric, part), form) for part in parts]


def present(columns: Sequence[Column], found: Comparison) -> list[Column]:
    """A column that no model has a figure for would only be dashes."""
    return [column for column in columns if found.has(*column.keys)]


def figures(title: str, caption: str, columns: Sequence[Column], found: Comparison) -> Table | None:
    """A table of those columns that any model has a figure for; None without any."""
    columns = present(columns, found)
    if not columns:
        return None
    rows = [
        Row(entry.name, tuple(cell(entry, column, found) for column in columns))
        for entry in found.entries
    ]
    headings = ("Model", *(column.heading for column in columns))
    return Table(title, headings, tuple(rows), caption, of_models=True)


def cell(entry: Entry, column: Column, found: Comparison) -> Cell:
    spread = entry.spread(*column.keys)
    return figure_cell(spread, column.form, _remark(entry, spread, column, found))


def _remark(entry: Entry, spread: Spread | None, column: Column, found: Comparison) -> str:
    """The 95% interval of one seed; for several, who has the figure and the gap to retrained."""
    if spread is None:
        return ""
    if fewer := found.fewer_seeds(spread):
        return fewer
    if len(entry.models) == 1:
        if len(column.keys) != 2:
            return ""
        metric, part = column.keys
        return interval(entry.models[0], metric, part, column.form)
    gap = found.gap(entry, *column.keys)
    if column.gap is None or gap is None or entry.name == RETRAINED:
        return ""
    if found.no_difference(gap, *column.keys):
        return "no difference"
    return column.gap(gap.mean)


def interval(model: Model, metric: str, part: str, form: Form = wording.percent) -> str:
    bounds = model.interval(metric, part)
    return f"{form(bounds[0])} to {form(bounds[1])}" if bounds else ""


def seed_remark(found: Comparison) -> str:
    number = len(found.seeds)
    if number == 1:
        return "One seed."
    fewer = any(len(entry.models) < number for entry in found.entries)
    less = ", or as many as are said" if fewer else ""
    return f"Mean ± standard deviation over {number} seeds{less}."


def below(found: Comparison) -> str:
    """What stands below the figures of columns that have the retrained model as their target."""
    if len(found.seeds) == 1:
        return "Below a figure: 95% interval, bootstrap of speakers."
    return (
        "Below a figure: its distance from the retrained model's, or “no difference” where the "
        "seeds' distances are on average within the range of the retrained models."
    )

"""Tables of figures with a model a row, from the rows of the comparison."""

from collections.abc import Sequence

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column, present
from asr_unlearn.reporting.comparison import Comparison, ComparisonRow, Spread
from asr_unlearn.reporting.formats import Form
from asr_unlearn.reporting.tables.table import Cell, Row, Table


def figures(
    title: str,
    caption: str,
    columns: Sequence[Column],
    found: Comparison,
    *,
    gaps: bool = False,
    intervals: bool = True,
) -> Table | None:
    """A table of those columns that any model has a figure for; None without any.

    Below a figure stands its 95% interval with one seed and `intervals`, or its difference from the
    retrained model with several seeds and `gaps`.
    """
    columns = present(columns, found)
    if not columns:
        return None
    rows = tuple(
        Row(e.name, tuple(cell(e.name, column, found, gaps, intervals) for column in columns))
        for e in found.entries
    )
    headings = ("Model", *(column.heading for column in columns))
    return Table(title, headings, rows, caption, of_models=True)


def cell(
    model: str, column: Column, found: Comparison, gaps: bool = False, intervals: bool = True
) -> Cell:
    row = found.row(model, *column.keys)
    if row is None:
        return Cell(formats.MISSING)
    return figure_cell(row.value, column.form, _remark(row, column, found, gaps, intervals))


def figure_cell(spread: Spread | None, form: Form, detail: str = "") -> Cell:
    if spread is None:
        return Cell(formats.MISSING)
    return Cell(form.spread(spread), detail, spread.mean)


def gap_cell(model: str, column: Column, found: Comparison) -> Cell:
    """Difference from the retrained model; below it its interval, or the verdict over seeds."""
    row = found.row(model, *column.keys)
    if row is None or row.gap is None or column.gap is None:
        return Cell(formats.MISSING)
    same = row.verdict if row.verdict == "no difference" else ""
    notes = (interval(row.gap_interval, column.gap), same, found.fewer_seeds(row.gap))
    return figure_cell(row.gap, column.gap, ", ".join(filter(None, notes)))


def _remark(
    row: ComparisonRow, column: Column, found: Comparison, gaps: bool, intervals: bool
) -> str:
    """The 95% interval of one seed; for several, how many have the figure, or the difference."""
    if fewer := found.fewer_seeds(row.value):
        return fewer
    if row.interval and intervals:
        return interval(row.interval, column.form)
    several = len(found.seeds) > 1
    if not (gaps and several) or column.gap is None or row.gap is None:
        return ""
    return row.verdict if row.verdict == "no difference" else column.gap(row.gap.mean)


def interval(bounds: tuple[float, float] | None, form: Form = formats.percent) -> str:
    return f"{form(bounds[0])} to {form(bounds[1])}" if bounds else ""


def seed_remark(found: Comparison) -> str:
    number = len(found.seeds)
    if number == 1:
        return "One seed."
    fewer = any(len(entry.models) < number for entry in found.entries)
    less = ", or over fewer where a figure says so" if fewer else ""
    return f"Mean ± standard deviation over {number} seeds{less}."


def below(found: Comparison, columns: Sequence[Column]) -> str:
    """Caption: what stands below figures that have the retrained model's as their target."""
    if len(found.seeds) == 1:
        keys = {column.keys for column in columns}
        has_interval = any(row.interval for row in found.rows if row.keys in keys)
        return "Below a figure: 95% interval over speakers." if has_interval else ""
    return (
        "Below a figure: its difference from the retrained model's; “no difference” where the "
        "mean absolute difference over seeds is within the range of the retrained models."
    )

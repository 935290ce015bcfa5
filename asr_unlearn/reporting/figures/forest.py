"""Forest plot: one figure of every model, with its interval, against the retrained model's."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.reporting import formats
from asr_unlearn.reporting.columns import Column
from asr_unlearn.reporting.comparison import Comparison, ComparisonRow
from asr_unlearn.reporting.figures.palette import GRID, INK, MODEL_ORIGINAL, MODEL_RETRAINED, Looks
from asr_unlearn.reporting.figures.shared import PERCENT, PLAIN, WIDTH, colours, short
from asr_unlearn.reporting.figures.svg import drawing, to_svg


def forest(found: Comparison, column: Column, looks: Looks, ends: tuple[float, float]) -> str:
    """A model a row; `ends` are those of the x axis, which several plots may share."""
    rows = _rows(found, column)
    with drawing(WIDTH, 0.75 + 0.23 * len(rows)) as (figure, axes):
        _targets(axes, found, column)
        for height, row in enumerate(rows):
            look, mean = looks[row.model], row.value.mean
            axes.plot(whiskers(row), [height, height], color=look.colour.light, linewidth=1.6)
            size = 9 if look.shape == "*" else 6
            axes.plot(mean, height, look.shape, color=look.colour.light, markersize=size)
            axes.annotate(
                column.form(mean), (1, height), (4, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=9,
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [short(row.model) for row in rows], color=INK.light)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(*ends)
        axes.xaxis.set_major_formatter(PERCENT if column.form is formats.percent else PLAIN)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_title(column.heading)
        values = ", ".join(f"{row.model} {column.form(row.value.mean)}" for row in rows)
        label = f"{column.heading} of every model: {values}"
        used = colours(looks, (row.model for row in rows))
        return to_svg(figure, "-".join(("forest", *column.keys)), label, used)


def _rows(found: Comparison, column: Column) -> list[ComparisonRow]:
    return [row for e in found.entries if (row := found.row(e.name, *column.keys))]


def _targets(axes: Axes, found: Comparison, column: Column) -> None:
    """Lines at the original and the retrained model, the latter's range, and chance."""
    if column.chance is not None:
        axes.axvline(column.chance, color=GRID.light, linewidth=1.2)
    for name, colour in ((ORIGINAL, MODEL_ORIGINAL), (RETRAINED, MODEL_RETRAINED)):
        row = found.row(name, *column.keys)
        if row is None:
            continue
        axes.axvline(row.value.mean, color=colour.light, linewidth=0.9, linestyle=(0, (3, 2)))
        if name == RETRAINED:
            low, high = row.interval or (min(row.value.values), max(row.value.values))
            axes.axvspan(low, high, color=colour.light, alpha=0.14, linewidth=0)


def whiskers(row: ComparisonRow) -> tuple[float, float]:
    """95% interval for one seed, standard deviation for several; the figure itself without."""
    mean, deviation = row.value.mean, row.value.deviation
    if deviation is not None:
        return max(mean - deviation, 0.0), mean + deviation
    return row.interval or (mean, mean)


def shared_ends(found: Comparison, columns: Sequence[Column]) -> tuple[float, float]:
    """Ends of an x axis that holds all whiskers of several plots; from zero where zero is near."""
    rows = [row for column in columns for row in _rows(found, column)]
    chances = [column.chance for column in columns if column.chance is not None]
    ends = [*(end for row in rows for end in whiskers(row)), *chances]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.05
    from_zero = low < 0.5 * high and not chances
    return (-0.02 * high if from_zero else low - margin), high + margin

"""One figure of every model: a dot with its interval, against the retrained model's."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from asr_unlearn.report import wording
from asr_unlearn.report.comparison import Comparison, Entry, Spread
from asr_unlearn.report.palette import GRID, INK, MODEL_ORIGINAL, MODEL_RETRAINED, Looks
from asr_unlearn.report.plots.shared import PERCENT, PLAIN, WIDTH, colours, short
from asr_unlearn.report.plots.svg import drawing, to_svg
from asr_unlearn.report.wording import Form


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure to be drawn: title, where it stands, how it is written, and a line for chance."""

    title: str
    keys: tuple[str, str]
    form: Form
    chance: float | None = None

    @property
    def ticks(self) -> FuncFormatter:
        return PERCENT if self.form is wording.percent else PLAIN


def forest(found: Comparison, shown: Shown, looks: Looks, ends: tuple[float, float]) -> str | None:
    """A model a row; plots that share a scale share its `ends`. None where no model has it."""
    rows = [(entry, own) for entry in found.entries if (own := entry.spread(*shown.keys))]
    if not rows:
        return None
    with drawing(WIDTH, 0.75 + 0.23 * len(rows)) as (figure, axes):
        _targets(axes, found, shown)
        for row, (entry, own) in enumerate(rows):
            look = looks[entry.name]
            low, high = whiskers(entry, own, shown.keys)
            axes.plot([low, high], [row, row], color=look.colour.light, linewidth=1.6)
            size = 9 if look.shape == "*" else 6
            axes.plot(own.mean, row, look.shape, color=look.colour.light, markersize=size)
            axes.annotate(
                shown.form(own.mean), (1, row), (4, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=9,
            )  # fmt: skip
        names = [short(entry.name) for entry, _ in rows]
        axes.set_yticks(range(len(rows)), names, color=INK.light)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(*ends)
        axes.xaxis.set_major_formatter(shown.ticks)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_title(shown.title)
        said = ", ".join(f"{entry.name} {shown.form(own.mean)}" for entry, own in rows)
        return to_svg(
            figure,
            "-".join(("forest", *shown.keys)),
            f"{shown.title} of every model: {said}",
            colours(looks, (entry.name for entry, _ in rows)),
        )


def _targets(axes: Axes, found: Comparison, shown: Shown) -> None:
    """Lines at the original and at the retrained model, the latter's range, and chance."""
    if shown.chance is not None:
        axes.axvline(shown.chance, color=GRID.light, linewidth=1.2)
    for entry, colour in ((found.original, MODEL_ORIGINAL), (found.retrained, MODEL_RETRAINED)):
        own = entry.spread(*shown.keys) if entry else None
        if entry is None or own is None:
            continue
        axes.axvline(own.mean, color=colour.light, linewidth=0.9, linestyle=(0, (3, 2)))
        if entry is found.retrained:
            bounds = entry.models[0].interval(*shown.keys) if len(entry.models) == 1 else None
            low, high = bounds or (min(own.values), max(own.values))
            axes.axvspan(low, high, color=colour.light, alpha=0.14, linewidth=0)


def whiskers(entry: Entry, own: Spread, keys: tuple[str, str]) -> tuple[float, float]:
    """95% interval for one seed, standard deviation for several; the figure itself without."""
    if own.deviation is not None:
        return max(own.mean - own.deviation, 0.0), own.mean + own.deviation
    bounds = entry.models[0].interval(*keys) if len(entry.models) == 1 else None
    return bounds or (own.mean, own.mean)


def shared_ends(found: Comparison, shown: list[Shown]) -> tuple[float, float]:
    """A scale that holds all whiskers of several plots; from zero where zero is near."""
    ends = [
        end
        for one in shown
        for entry in found.entries
        if (own := entry.spread(*one.keys))
        for end in whiskers(entry, own, one.keys)
    ]
    ends += [one.chance for one in shown if one.chance is not None]
    if not ends:
        return 0.0, 1.0
    low, high = min(ends), max(ends)
    margin = 0.06 * (high - low) or 0.05
    # Around chance, zero means nothing.
    from_zero = low < 0.5 * high and all(one.chance is None for one in shown)
    return (-0.02 * high if from_zero else low - margin), high + margin

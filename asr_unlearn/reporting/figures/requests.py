"""Rates after each of several requests: of its speakers, of earlier ones, and of those retained."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.figures.palette import Looks
from asr_unlearn.reporting.figures.shared import PERCENT, colours, short
from asr_unlearn.reporting.figures.svg import panels, to_svg

PANELS = (("forget", "its speakers"), ("forgotten", "earlier speakers"), ("retain", "retain"))
# Of a panel's height: between two names beside the ends of lines.
LINE = 0.075

Points = Sequence[tuple[int, float]]


def after_each_request(requests: Sequence[Comparison], looks: Looks) -> str | None:
    """A panel for each group of speakers, a line for each model; None for a single request."""
    if len(requests) < 2:
        return None
    rate = requests[-1].rate
    names = [entry.name for entry in requests[-1].entries]
    described: list[str] = []
    every: list[Mapping[str, Points]] = []
    with panels(9.6, 3.2, len(PANELS)) as (figure, drawn):
        for axes, (part, title) in zip(drawn, PANELS, strict=True):
            lines = {name: _points(name, part, requests) for name in names}
            for name, points in lines.items():
                look = looks[name]
                width = 2.2 if name == RETRAINED else 1.2
                x, y = ([point[axis] for point in points] for axis in (0, 1))
                axes.plot(x, y, f"{look.shape}-", color=look.colour.light, linewidth=width)
                values = ", ".join(f"{100 * value:.1f}%" for value in y)
                described.append(f"{name} on {title}: {values}")
            axes.set_title(title)
            axes.set_xlim(0.8, 0.8 + 1.55 * (len(requests) - 0.6))
            axes.set_xticks(range(1, len(requests) + 1))
            axes.set_xlabel("request")
            axes.yaxis.set_major_formatter(PERCENT)
            axes.grid(axis="y")
            every.append(lines)
        # Once all lines are drawn, since the panels share their heights.
        for axes, ends in zip(drawn, every, strict=True):
            _name_lines(axes, ends)
        drawn[0].set_ylabel(rate.heading)
        label = f"{rate.heading} after each request. {'; '.join(described)}"
        return to_svg(figure, "after-each-request", label, colours(looks, names))


def _points(name: str, part: str, requests: Sequence[Comparison]) -> Points:
    """The number of each request that the model has the rate for, and the mean over seeds."""
    found = enumerate((each.value(name, each.rate.key, part) for each in requests), start=1)
    return [(number, spread.mean) for number, spread in found if spread is not None]


def _name_lines(axes: Axes, lines: Mapping[str, Points]) -> None:
    """Write each name beside the end of its line, above the one below it."""
    low, high = axes.get_ylim()
    where, place = axes.get_xaxis_transform(), -1.0
    ends = {name: points[-1] for name, points in lines.items() if points}
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        place = max((y - low) / (high - low), place + LINE)
        axes.annotate(
            short(name), (x, place), (7, 0), xycoords=where, textcoords="offset points", va="center"
        ).set_in_layout(False)

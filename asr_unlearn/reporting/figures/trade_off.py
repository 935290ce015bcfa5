"""Forgetting against damage, with the retrained model at the origin."""

import math
from collections.abc import Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.figures.palette import MUTED, Looks
from asr_unlearn.reporting.figures.shared import colours, short
from asr_unlearn.reporting.figures.svg import drawing, to_svg

Point = tuple[str, float, float]

# Places for a name beside its point: distance in points, and sixteenths of a turn.
DISTANCES = (9, 16, 26, 38, 52, 68)
TURNS = (0, 8, 1, 15, 7, 9, 2, 14, 6, 10, 3, 13, 5, 11, 4, 12)


def trade_off(found: Comparison, looks: Looks) -> str | None:
    """Difference from the retrained model on forget against that on retain, in points."""
    rate = found.rate
    placed: list[Point] = []
    for entry in found.entries:
        rows = (found.row(entry.name, rate.key, part) for part in ("retain", "forget"))
        gaps = [row.gap.mean for row in rows if row and row.gap]
        if len(gaps) == 2:
            x, y = (100 * rate.harm(gap) for gap in gaps)
            placed.append((entry.name, x, y))
    if not placed:
        return None
    placed.insert(0, (RETRAINED, 0.0, 0.0))
    with drawing(6.6, 5.0) as (figure, axes):
        axes.axhline(0, color=MUTED.light, linewidth=0.8)
        axes.axvline(0, color=MUTED.light, linewidth=0.8)
        for name, x, y in placed:
            look = looks[name]
            size = 13 if name == RETRAINED else 8
            axes.plot(x, y, look.shape, color=look.colour.light, markersize=size, zorder=3)
        axes.margins(0.12)
        axes.set_xlim(_at_least(*axes.get_xlim()))
        axes.set_ylim(_at_least(*axes.get_ylim()))
        side = "above" if rate.is_error else "below"
        axes.set_xlabel(f"{rate.name} {side} retrained on retain, points → damage")
        axes.set_ylabel(f"{rate.name} {side} retrained on forget, points")
        axes.grid()
        _name_points(figure, axes, placed)
        values = ", ".join(f"{name} {x:+.1f} and {y:+.1f}" for name, x, y in placed[1:])
        label = (
            f"Points of {rate.name} {side} the retrained model, on retain and on forget: {values}"
        )
        return to_svg(figure, "trade-off", label, colours(looks, (name for name, _, _ in placed)))


def _at_least(low: float, high: float) -> tuple[float, float]:
    """The ends of an axis that reaches a point to either side: tenths are no great damage."""
    return min(low, -1.0), max(high, 1.0)


def _name_points(figure: Figure, axes: Axes, placed: Sequence[Point]) -> None:
    """Write each name beside its point, at the first place where it overlaps nothing."""
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    spots = [tuple(axes.transData.transform((x, y)).tolist()) for _, x, y in placed]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in spots]
    # Outer points first, so that their names go outwards.
    centre = [sum(spot[axis] for spot in spots) / len(spots) for axis in (0, 1)]
    order = sorted(range(len(spots)), key=lambda i: -math.dist(spots[i], centre))
    for index in order:
        name, x, y = placed[index]
        box, shift = _place(spots[index], 5.6 * len(short(name)), (frame.x0, frame.x1), taken)
        taken.append(box)
        line = {"arrowstyle": "-", "color": MUTED.light, "linewidth": 0.6, "shrinkB": 5}
        axes.annotate(
            short(name), (x, y), shift, textcoords="offset points", va="center", fontsize=9,
            arrowprops=line if math.hypot(*shift) > 14 else None,
        ).set_in_layout(False)  # fmt: skip


def _place(
    spot: Sequence[float], width: float, frame: tuple[float, float], taken: Sequence[Bbox]
) -> tuple[Bbox, tuple[float, float]]:
    """The box of a name of this width, and how far its left middle is from the point."""
    for distance, turn in product(DISTANCES, TURNS):
        angle = math.tau * turn / 16
        x, y = distance * math.cos(angle), distance * math.sin(angle)
        # A name to the left of its point ends there; above or below, it is centred.
        left = x - width * (1 - math.cos(angle)) / 2
        box = Bbox.from_bounds(spot[0] + left, spot[1] + y - 6, width, 12)
        inside = frame[0] <= box.x0 and box.x1 <= frame[1] + 4
        if inside and not box.count_overlaps(taken):
            break
    return box, (left, y)

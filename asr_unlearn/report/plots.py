"""The report's plots: WER by part, the trade-off, losses before and after, the way there.

Each is narrow, so that it stays readable on a phone; the page sets them side by side.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from asr_unlearn.report import wording
from asr_unlearn.report.palette import INK, MUTED, PAPER, Look
from asr_unlearn.report.seeds import RETRAINED, Entry
from asr_unlearn.report.svg import drawing, to_svg

Looks = Mapping[str, Look]
Losses = Mapping[str, Sequence[float]]  # part -> loss of each utterance
Curve = Sequence[Mapping[str, float]]  # rows of metrics.jsonl

WIDTH = 4.4
# Where a name may stand above or below its point, in points, nearest first.
LIFTS = (0, 12, -12, 24, -24, 36, -36, 48, -48, 60, -60)
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}%")


def wer_bars(found: Sequence[Entry], part: str, looks: Looks, widest: float) -> str | None:
    """One part's WER, a bar a model; all parts share the scale that ends at `widest`."""
    shown = [(entry, rate) for entry in found if (rate := entry.spread("wer", part))]
    if not shown:
        return None
    with drawing(WIDTH, 0.62 + 0.27 * len(shown)) as (figure, axes):
        for row, (entry, rate) in enumerate(shown):
            axes.barh(row, rate.mean, height=0.68, color=looks[entry.name].colour.light)
            low, high = whiskers(entry, part)
            # A halo, or the line would vanish on the darkest bar.
            axes.plot([low, high], [row, row], color=PAPER.light, linewidth=3.4)
            axes.plot([low, high], [row, row], color=INK.light, linewidth=1.3)
            axes.annotate(
                wording.percent(rate.mean), (max(high, rate.mean), row), (5, 0),
                textcoords="offset points", va="center", fontsize=9,
            )  # fmt: skip
        axes.set_yticks(
            range(len(shown)), [_short(entry.name) for entry, _ in shown], color=INK.light
        )
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(0, 1.2 * widest or 1)
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x")
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_title(f"WER {wording.PART_NAMES[part]}")
        said = ", ".join(f"{entry.name} {wording.percent(rate.mean)}" for entry, rate in shown)
        label = f"Bar plot of the word error rate on {wording.PART_NAMES[part]}: {said}"
        return to_svg(figure, f"wer-{part}", label)


def whiskers(entry: Entry, part: str) -> tuple[float, float]:
    """95% interval for one seed, standard deviation for several; the rate itself without either."""
    rate = entry.spread("wer", part)
    assert rate is not None
    if rate.deviation is not None:
        return max(rate.mean - rate.deviation, 0.0), rate.mean + rate.deviation
    bounds = entry.models[0].interval("wer", part) if len(entry.models) == 1 else None
    return bounds or (rate.mean, rate.mean)


def trade_off(found: Sequence[Entry], looks: Looks) -> str | None:
    """Forget gap against retain gap in WER points; the retrained model is the origin."""
    placed = []
    for entry in found:
        retain = entry.spread("gap_to_retrained", "wer", "retain")
        forget = entry.spread("gap_to_retrained", "wer", "forget")
        if entry.name != RETRAINED and retain and forget:
            placed.append((entry.name, 100 * retain.mean, 100 * forget.mean))
    if not placed:
        return None
    placed.insert(0, (RETRAINED, 0.0, 0.0))
    with drawing(4.8, 4.0) as (figure, axes):
        axes.axhline(0, color=MUTED.light, linewidth=0.8)
        axes.axvline(0, color=MUTED.light, linewidth=0.8)
        for name, x, y in placed:
            look = looks[name]
            size = 13 if name == RETRAINED else 8
            axes.plot(x, y, look.shape, color=look.colour.light, markersize=size, zorder=3)
        axes.margins(0.16)
        axes.set_xlabel("WER gap on retain, points (right: damage)")
        axes.set_ylabel("WER gap on forget, points")
        axes.grid()
        _name_points(figure, axes, placed)
        said = ", ".join(f"{name} {x:+.1f} and {y:+.1f}" for name, x, y in placed[1:])
        label = f"Gaps to the retrained model in WER points, on retain and on forget: {said}"
        return to_svg(figure, "trade-off", label)


def _name_points(figure: Figure, axes: Axes, placed: Sequence[tuple[str, float, float]]) -> None:
    """Write each name beside its point, at the first place where it covers nothing."""
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    spots = [axes.transData.transform((x, y)) for _, x, y in placed]
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
    for (name, x, y), spot in zip(placed, spots, strict=True):
        width = 5.6 * len(_short(name))
        for rise, left in product(LIFTS, (10.0, -10.0 - width)):
            corner = (spot[0] + left, spot[1] + rise - 6)
            box = (*corner, corner[0] + width, corner[1] + 12)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 + 4
            if inside and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        line = {"arrowstyle": "-", "color": MUTED.light, "linewidth": 0.6}
        axes.annotate(
            _short(name), (x, y), (left, rise), textcoords="offset points", va="center", fontsize=9,
            arrowprops=line if rise else None,
        ).set_in_layout(False)  # fmt: skip


def _overlap(
    left: tuple[float, float, float, float], right: tuple[float, float, float, float]
) -> bool:
    return left[0] < right[2] and right[0] < left[2] and left[1] < right[3] and right[1] < left[3]


def loss_edges(every: Sequence[Losses]) -> np.ndarray | None:
    """Shared logarithmic bin edges [bins + 1] over all models' forget, unseen, retain losses."""
    values = [value for losses in every for part in losses.values() for value in part if value > 0]
    if not values:
        return None
    low, high = np.quantile(values, 0.005), max(values)
    return np.geomspace(max(low, high * 1e-5), high * 1.0001, 25)


def loss_histogram(name: str, losses: Losses, edges: np.ndarray, looks: Looks) -> str:
    """Share of utterances by loss for forget (filled), unseen (line) and retain (dotted).

    Losses below the first edge, zero among them, are counted in the first bin.
    """
    styles = {"unseen": ("-", INK.light, 1.4), "retain": (":", MUTED.light, 1.4)}
    with drawing(WIDTH, 2.1) as (figure, axes):
        forget = _shares(losses.get("forget", ()), edges)
        if forget is not None:
            colour = looks[name].colour.light
            axes.stairs(forget, edges, fill=True, color=colour, alpha=0.45)
            axes.stairs(forget, edges, color=colour, linewidth=1.2, label="forget")
        for part, (line, colour, width) in styles.items():
            shares = _shares(losses.get(part, ()), edges)
            if shares is not None:
                axes.stairs(
                    shares, edges, color=colour, linestyle=line, linewidth=width, label=part
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, 1.25 * axes.get_ylim()[1])  # room for the legend
        axes.yaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel("loss of an utterance (log scale)")
        axes.set_title(_short(name))
        axes.legend(loc="upper left", fontsize=8.5, handlelength=1.4, ncols=3, columnspacing=1.2)
        means = ", ".join(
            f"{part} mean {wording.number(float(np.mean(values)))}"
            for part, values in losses.items()
            if len(values)
        )
        return to_svg(figure, f"loss-{_slug(name)}", f"Histogram of {name}'s losses: {means}")


def _shares(values: Sequence[float], edges: np.ndarray) -> np.ndarray | None:
    if not len(values):
        return None
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / len(values)


def unlearning_curve(
    name: str, curves: Mapping[int, Curve], quantity: str, looks: Looks
) -> str | None:
    """Forget loss or CER where the stop rule looked, against its target; a line a seed.

    `quantity` is "loss" or "cer".
    """
    shown = {
        seed: [row for row in rows if "step" in row and f"check_forget_{quantity}" in row]
        for seed, rows in curves.items()
    }
    shown = {seed: rows for seed, rows in shown.items() if rows}
    if not shown:
        return None
    with drawing(1.15 * WIDTH, 2.1) as (figure, axes):
        target = None
        for rows in shown.values():
            steps = [row["step"] for row in rows]
            values = [row[f"check_forget_{quantity}"] for row in rows]
            axes.plot(steps, values, "o-", color=looks[name].colour.light, markersize=3.5)
            targets = [(row["step"], row[f"target_{quantity}"]) for row in rows
                       if f"target_{quantity}" in row]  # fmt: skip
            if targets:
                target = targets[-1][1]
                axes.plot(*zip(*targets, strict=True), "--", color=INK.light, linewidth=1.1)
        if target is not None:
            axes.annotate(
                "target", (0, target), (3, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", fontsize=8.5, color=MUTED.light,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.margins(x=0.03)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if quantity == "cer":
            axes.yaxis.set_major_formatter(_PERCENT)
        axes.set_xlabel("step")
        axes.set_title(f"{_short(name)}: forget {'CER' if quantity == 'cer' else 'loss'}")
        return to_svg(
            figure, f"check-{quantity}-{_slug(name)}", _curve_label(name, shown, quantity)
        )


def _curve_label(name: str, shown: Mapping[int, Curve], quantity: str) -> str:
    first, last = (
        np.mean([rows[index][f"check_forget_{quantity}"] for rows in shown.values()])
        for index in (0, -1)
    )
    return (
        f"Forget {quantity} of {name} at the stop rule's checks: from "
        f"{wording.number(float(first))} to {wording.number(float(last))}"
    )


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _slug(name: str) -> str:
    """A name as part of an id; hexadecimal, so that no two names share one."""
    return name.encode().hex()

"""Distribution of the losses: a histogram for each model, and the mean of every speaker."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator, NullFormatter

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.figures.palette import INK, MUTED, Looks
from asr_unlearn.reporting.figures.shared import PERCENT, PLAIN, WIDTH, Losses, colours, short, slug
from asr_unlearn.reporting.figures.svg import drawing, to_svg

# Marker, size and height of each part in a model's row.
LANES = {"forget": ("o", 3.8, -0.27), "unseen": ("o", 3.8, 0.0), "retain": ("|", 4.2, 0.27)}


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
    with drawing(0.85 * WIDTH, 1.75) as (figure, axes):
        forget = _shares(losses.get("forget", ()), edges)
        if forget is not None:
            colour = looks[name].colour.light
            axes.stairs(forget, edges, fill=True, color=colour, alpha=0.4)
            axes.stairs(forget, edges, color=colour, linewidth=1.2)
        for part, (line, colour, width) in styles.items():
            shares = _shares(losses.get(part, ()), edges)
            if shares is not None:
                axes.stairs(shares, edges, color=colour, linestyle=line, linewidth=width)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(edges[0], edges[-1])
        axes.yaxis.set_major_formatter(PERCENT)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.set_title(short(name))
        means = ", ".join(
            f"{part} mean {formats.number(float(np.mean(values)))}"
            for part, values in losses.items()
            if len(values)
        )
        label = f"Histogram of {name}'s losses: {means}"
        return to_svg(figure, f"loss-{slug(name)}", label, colours(looks, [name]))


def _shares(values: Sequence[float], edges: np.ndarray) -> np.ndarray | None:
    if not len(values):
        return None
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / len(values)


def speaker_strip(
    means: Mapping[str, Mapping[str, Mapping[str, float]]], looks: Looks
) -> str | None:
    """Mean loss of every speaker as a dot; a loss of zero is drawn at the left edge.

    Args:
        means: model -> part -> speaker -> loss.

    Returns:
        None where no loss is above zero.
    """
    known = [v for of in means.values() for losses in of.values() for v in losses.values() if v > 0]
    if not known:
        return None
    low, high = min(known), max(known)
    with drawing(WIDTH, 0.7 + 0.42 * len(means)) as (figure, axes):
        for row, (name, parts) in enumerate(means.items()):
            styles = {
                "forget": (looks[name].colour.light, looks[name].colour.light),
                "unseen": (INK.light, "none"),
                "retain": (MUTED.light, MUTED.light),
            }
            for part, (marker, size, height) in LANES.items():
                losses = np.clip(list(parts.get(part, {}).values()), low, high)
                edge, face = styles[part]
                axes.plot(
                    losses, np.full(len(losses), row + height), marker, linestyle="none",
                    markersize=size, markeredgecolor=edge, markerfacecolor=face,
                    markeredgewidth=0.9, alpha=0.9,
                )  # fmt: skip
            if row:
                axes.axhline(row - 0.5, color=MUTED.light, linewidth=0.3)
        axes.set_yticks(range(len(means)), [short(name) for name in means], color=INK.light)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(means) - 0.45, -0.55)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0.85 * low, 1.15 * high)
        axes.grid(axis="x")
        axes.set_xlabel("mean loss of a speaker (log scale)")
        label = "Mean loss of every speaker: " + "; ".join(map(_said, means.items()))
        return to_svg(figure, "speakers", label, colours(looks, means))


def _said(of_model: tuple[str, Mapping[str, Mapping[str, float]]]) -> str:
    name, parts = of_model
    medians = ", ".join(
        f"{part} median {formats.number(float(np.median(list(losses.values()))))}"
        for part, losses in parts.items()
        if losses
    )
    return f"{name} {medians}"

"""Training and unlearning curves."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator, NullFormatter

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.figures.palette import INK, MUTED, Looks
from asr_unlearn.reporting.figures.shared import PLAIN, WIDTH, Curve, colours, short, slug
from asr_unlearn.reporting.figures.svg import drawing, to_svg

# More points on a line make the page larger and show nothing more.
POINTS = 120

Curves = Mapping[int, Curve]  # seed -> rows of metrics.jsonl


def training_curves(trained: Mapping[str, Curves], looks: Looks) -> str | None:
    """Loss of the training batches, a line a seed; None without any. `trained`: model -> curves."""
    lines = [
        (name, steps, losses)
        for name, curves in trained.items()
        for rows in curves.values()
        if (line := _training_line(rows)) is not None
        for steps, losses in [line]
    ]
    if not lines:
        return None
    with drawing(1.5 * WIDTH, 2.6) as (figure, axes):
        for name, steps, losses in lines:
            axes.plot(steps, losses, color=looks[name].colour.light, linewidth=1.1, alpha=0.85)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(PLAIN)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y")
        axes.margins(x=0.02)
        axes.set_xlabel("step")
        axes.set_title("Training loss of the batches (log scale)")
        ends = ", ".join(f"{name} to {formats.number(float(loss[-1]))}" for name, _, loss in lines)
        names = dict.fromkeys(name for name, _, _ in lines)
        return to_svg(
            figure, "training", f"Loss while training, a line a seed: {ends}", colours(looks, names)
        )


def _training_line(rows: Curve) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps and losses [points], each the mean of as many steps as make at most POINTS of them."""
    logged = [(row["step"], row["train_loss"]) for row in rows if row.get("train_loss", 0) > 0]
    if len(logged) < 2:
        return None
    chunks = np.array_split(np.array(logged), min(POINTS, len(logged)))
    means = np.stack([chunk.mean(axis=0) for chunk in chunks])
    return means[:, 0], means[:, 1]


def unlearning_curve(
    name: str, curves: Curves, checked: str, looks: Looks, top: float
) -> str | None:
    """Forget loss (solid) and error (dotted) divided by the forgetting target; a line a seed.

    Args:
        checked: name of the error.
        top: end of the scale that all methods share.

    Returns:
        None where there was no check, or no target above zero.
    """
    lines = {
        quantity: [line for rows in curves.values() if (line := _shares(rows, quantity))]
        for quantity in ("loss", "cer")
    }
    if not any(lines.values()):
        return None
    styles = {"loss": ("-", 1.5), "cer": (":", 1.3)}
    with drawing(0.72 * WIDTH, 1.7) as (figure, axes):
        axes.axhline(1, color=INK.light, linewidth=0.9, linestyle=(0, (3, 2)))
        for quantity, of_seeds in lines.items():
            style, width = styles[quantity]
            colour = looks[name].colour.light if quantity == "loss" else MUTED.light
            for steps, shares in of_seeds:
                axes.plot(steps, shares, style, color=colour, linewidth=width)
        axes.set_ylim(0, top)
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(PLAIN)
        axes.set_title(short(name))
        values = ", ".join(
            f"forget {'loss' if quantity == 'loss' else checked} from {first:.2f} to {last:.2f}"
            for quantity, of_seeds in lines.items()
            if of_seeds
            for first, last in [np.mean([(s[0], s[-1]) for _, s in of_seeds], axis=0)]
        )
        label = f"{name} at the checks of early stopping, relative to the target: {values}"
        return to_svg(figure, f"check-{slug(name)}", label, colours(looks, [name]))


def _shares(rows: Curve, quantity: str) -> tuple[list[float], list[float]] | None:
    value, target = f"check_forget_{quantity}", f"target_{quantity}"
    logged = [row for row in rows if value in row and row.get(target, 0) > 0 and "step" in row]
    if not logged:
        return None
    return [row["step"] for row in logged], [row[value] / row[target] for row in logged]


def highest_share(every: Mapping[str, Curves]) -> float:
    """End of the scale that all methods share: above the target and all but outliers."""
    shares = [
        share
        for curves in every.values()
        for rows in curves.values()
        for quantity in ("loss", "cer")
        if (line := _shares(rows, quantity))
        for share in line[1]
    ]
    return max(1.25, 1.08 * float(np.quantile(shares, 0.995))) if shares else 1.25

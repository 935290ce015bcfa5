"""The confusion matrix of a classifier."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgba

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.figures.palette import INK, MODEL_RETRAINED, Looks
from asr_unlearn.reporting.figures.shared import WIDTH, short, slug
from asr_unlearn.reporting.figures.svg import drawing, to_svg

# So many classes at most have room for their names and counts.
NAMED, COUNTED = 40, 10
SHADE = to_rgba(MODEL_RETRAINED.light)[:3]
# From transparent to one colour, for light and dark backgrounds.
SHADES = LinearSegmentedColormap.from_list("shades", [(*SHADE, 0.0), (*SHADE, 1.0)])


def confusion(name: str, labels: Sequence[str], counts: np.ndarray, looks: Looks) -> str:
    """Counts [classes, classes], truth by prediction, shaded by the share of each row."""
    number = len(labels)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    with drawing(WIDTH, 0.9 * WIDTH) as (figure, axes):
        axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, interpolation="none")
        size = 9 if number <= 12 else max(4.0, 9 - number / 8)
        if number <= NAMED:
            axes.set_xticks(range(number), map(short, labels), rotation=90, fontsize=size)
            axes.set_yticks(range(number), map(short, labels), fontsize=size)
        if number <= COUNTED:
            for row, column in np.argwhere(counts > 0):
                axes.text(
                    column, row, formats.count(counts[row, column]),
                    ha="center", va="center", fontsize=8, color=INK.light,
                )  # fmt: skip
        axes.tick_params(length=0)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        right = np.trace(counts) / max(counts.sum(), 1)
        axes.set_title(f"{short(name)}: {formats.percent(float(right))} correct")
        label = (
            f"Confusion matrix of {name}, {number} classes, {formats.percent(float(right))} correct"
        )
        return to_svg(figure, f"confusion-{slug(name)}", label, [looks[name].colour])

"""A matplotlib figure as an inline SVG with the page's colours and ids of its own."""

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asr_unlearn.reporting.figures.palette import FIXED, GRID, INK, MUTED, PAPER, Colour

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # Names of speakers and models are text, dollar signs too.
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED.light,
    "axes.edgecolor": MUTED.light,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": INK.light,
    "xtick.color": MUTED.light,
    "ytick.color": MUTED.light,
    "grid.color": GRID.light,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.edgecolor": PAPER.light,
}


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure in the report's style; width and height in inches, about 80 px each."""
    with panels(width, height, 1) as (figure, (axes,)):
        yield figure, axes


@contextmanager
def panels(width: float, height: float, count: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """The same with several panels side by side, which share the vertical axis."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The browser draws the letters, with its own fonts.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        yield figure, list(figure.subplots(1, count, sharey=True, squeeze=False)[0])


def to_svg(figure: Figure, name: str, label: str, colours: Iterable[Colour] = ()) -> str:
    """The figure as an <svg> element.

    Args:
        name: salt of its ids, so that they differ from those of the page's other figures.
        label: description for screen readers.
        colours: the models' colours. They and the palette's fixed ones become CSS variables,
            which dark mode and the highlighted method change.
    """
    drawn = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type")) | {"Title": label}
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=metadata)
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    # Groups are numbered (axes_1) in every figure again; only hashed ids are referred to.
    text = re.sub(r' id="(?!C)[\w.]+_\d+"', "", text)
    for colour in (*FIXED, *colours):
        text = text.replace(colour.light, f"var(--{colour.variable})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label, quote=True)}" ', 1)

"""A matplotlib figure as an SVG that belongs to the page: its colours, its font, its own ids."""

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

from asr_unlearn.report.palette import FIXED, GRID, INK, MUTED, PAPER, Colour

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "asr_unlearn",
    # Speaker and model names are text, whatever dollar signs they hold.
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
    """An empty plot in the report's style; inches, of which the page shows one as ~80 px."""
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Only the reader's browser draws the letters, and with fonts of its own.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        yield figure, figure.subplots()


def to_svg(figure: Figure, name: str, label: str, colours: Iterable[Colour] = ()) -> str:
    """The figure as an <svg> element.

    `name` makes its ids differ from those of the page's other plots; `label` is what a screen
    reader says. Colours of the palette, and the models' `colours`, become CSS variables, so that
    dark mode and the reader's pick can change them.
    """
    drawn = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    # matplotlib's own style rule would apply to every element of the page.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="(?![mp][0-9a-f]{10}"|C)[^"]*"', "", text)
    text = re.sub(r'( id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    text = re.sub(r"font: (\w+ )*([\d.]+px) [^;\"]*", _font, text)
    for colour in (*FIXED, *colours):
        text = text.replace(colour.light, f"var(--{colour.variable})")
    said = escape(label, quote=True)
    head = f'<svg role="img" aria-label="{said}" '
    text = text.replace("<svg ", head, 1)
    return re.sub(r"(<svg [^>]*>)", rf"\g<1><title>{_literal(said)}</title>", text, count=1)


def _font(found: re.Match[str]) -> str:
    weight = "700" if "bold" in found[0] or "700" in found[0] else "400"
    return f"font-size: {found[2]}; font-weight: {weight}; font-family: inherit"


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")

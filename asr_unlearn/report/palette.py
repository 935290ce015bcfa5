"""One colour a model, the same in every plot, in a light and a dark shade.

The methods' colours are Okabe and Ito's (without yellow, too faint on white), which stay apart
under the common colour blindnesses; every plot also names its models in words, and the trade-off
plot gives each a shape, so nothing depends on colour. The light shade doubles as the mark by
which a drawn plot's colours are found and replaced by CSS variables, so all are different.
"""

from collections.abc import Sequence
from typing import NamedTuple

from asr_unlearn.report.seeds import ORIGINAL, RETRAINED


class Colour(NamedTuple):
    """A CSS variable and its two shades."""

    variable: str
    light: str
    dark: str


INK = Colour("ink", "#1a1d21", "#e8eaed")
MUTED = Colour("muted", "#5c636b", "#a3abb5")
GRID = Colour("grid", "#dfe3e8", "#32383f")
PAPER = Colour("paper", "#fffffe", "#1b1f24")
MODEL_ORIGINAL = Colour("original", "#8b929b", "#8f98a3")
MODEL_RETRAINED = Colour("retrained", "#16181b", "#f1f3f5")
METHODS = (
    Colour("method-1", "#0072b2", "#4fb0ea"),
    Colour("method-2", "#d55e00", "#ff8b45"),
    Colour("method-3", "#009e73", "#2fcf9f"),
    Colour("method-4", "#b8578f", "#e596c3"),
    Colour("method-5", "#c98500", "#f2b740"),
    Colour("method-6", "#3fa2dd", "#9ad8ff"),
)
COLOURS = (INK, MUTED, GRID, PAPER, MODEL_ORIGINAL, MODEL_RETRAINED, *METHODS)
SHAPES = ("o", "s", "^", "D", "v", "P", "p", "<", ">", "h", "8", "d")


class Look(NamedTuple):
    """How one model is drawn."""

    colour: Colour
    shape: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each model name; colours come round again after six methods, shapes later."""
    found = {ORIGINAL: Look(MODEL_ORIGINAL, "X"), RETRAINED: Look(MODEL_RETRAINED, "*")}
    rest = [name for name in names if name not in found]
    for index, name in enumerate(rest):
        found[name] = Look(METHODS[index % len(METHODS)], SHAPES[index % len(SHAPES)])
    return found

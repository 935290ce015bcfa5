"""Colours: strong ones for original and retrained model, one grey for all methods.

Nobody can distinguish sixteen colours. So every figure names its models, and the reader can
highlight one method on the whole page, for which each method has its own CSS variable. The light
shades are also what is replaced by CSS variables in a drawn figure, so no two are equal.
"""

from collections.abc import Sequence
from typing import NamedTuple

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED


class Colour(NamedTuple):
    """A CSS variable and its two shades."""

    variable: str
    light: str
    dark: str


INK = Colour("ink", "#1a1d21", "#e8eaed")
MUTED = Colour("muted", "#5c636b", "#a3abb5")
GRID = Colour("grid", "#dfe3e8", "#32383f")
PAPER = Colour("paper", "#fffffe", "#1b1f24")
# Orange and blue differ under the common colour blindnesses.
MODEL_ORIGINAL = Colour("original", "#c8500a", "#ff9a57")
MODEL_RETRAINED = Colour("retrained", "#0663b0", "#62b4ff")
PICKED = Colour("picked", "#9c1f8a", "#f08be0")
FIXED = (INK, MUTED, GRID, PAPER, MODEL_ORIGINAL, MODEL_RETRAINED, PICKED)


class Look(NamedTuple):
    """How one model is drawn."""

    colour: Colour
    shape: str


Looks = dict[str, Look]


def looks(names: Sequence[str]) -> Looks:
    """A look for each model name; a single method is highlighted from the start."""
    found = {ORIGINAL: Look(MODEL_ORIGINAL, "X"), RETRAINED: Look(MODEL_RETRAINED, "*")}
    rest = [name for name in names if name not in found]
    for number, name in enumerate(rest, start=1):
        colour = Colour(f"method-{number}", _grey(number), "#9aa4af")
        if len(rest) == 1:
            colour = PICKED._replace(variable=colour.variable)
        found[name] = Look(colour, "o")
    return found


def colours(given: Looks) -> list[Colour]:
    """All colours of a page with these models."""
    return [*FIXED, *(look.colour for look in given.values() if look.colour not in FIXED)]


def _grey(number: int) -> str:
    """One of 4096 greys that look the same but are different texts."""
    red, green, blue = number // 256 % 16, number // 16 % 16, number % 16
    return f"#{0x6C + red:02x}{0x76 + green:02x}{0x80 + blue:02x}"

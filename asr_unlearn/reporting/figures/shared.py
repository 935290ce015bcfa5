"""Shared by all figures: width, tick formats, short names, colours."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.ticker import FuncFormatter

from asr_unlearn.reporting.figures.palette import Colour, Looks

Losses = Mapping[str, Sequence[float]]  # part -> loss of each utterance
Curve = Sequence[Mapping[str, float]]  # rows of metrics.jsonl

# In inches; narrow, so that a figure stays readable on a phone.
WIDTH = 4.4
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}%")
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def slug(name: str) -> str:
    """A name as part of an id; hexadecimal, so that no two names have the same."""
    return name.encode().hex()


def colours(looks: Looks, names: Iterable[str]) -> list[Colour]:
    """The colours of a figure of these models."""
    return [looks[name].colour for name in names]

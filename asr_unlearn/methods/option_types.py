"""Types of method options: numbers with the range that `Method` checks."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints


@dataclass(frozen=True, repr=False)
class Range:
    """An interval of numbers.

    Attributes:
        low: the lower end.
        high: the upper end.
        open_low: whether the lower end is excluded.
        open_high: whether the upper end is excluded.
        word: a value that is no number.
    """

    low: float = 0
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    word: str = ""

    def __contains__(self, value: float | str) -> bool:
        if isinstance(value, str):
            return bool(self.word) and value == self.word
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below

    def __repr__(self) -> str:
        """As messages and `--help` say it: "above 0", "from 0 to below 1"."""
        if self.low == math.inf:
            return self.word
        word = f", or {self.word}" if self.word else ""
        if self.high == math.inf:
            return f"above {self.low:g}{word}" if self.open_low else f"{self.low:g} or more{word}"
        start = f"{'above' if self.open_low else 'from'} {self.low:g}"
        return f"{start} to {'below ' if self.open_high else ''}{self.high:g}"


Positive = Annotated[float, Range(open_low=True)]
NonNegative = Annotated[float, Range()]
Share = Annotated[float, Range(high=1)]
ShareBelowOne = Annotated[float, Range(high=1, open_high=True)]
PositiveInt = Annotated[int, Range(open_low=True)]
NonNegativeInt = Annotated[int, Range()]
Rate = Annotated[float | Literal["auto"], Range(open_low=True, word="auto")]
"""A learning rate, or steps as long as they are predicted to need (see `step_length`)."""
Auto = Annotated[Literal["auto"], Range(low=math.inf, open_low=True, word="auto")]
"""No learning rate."""


def ranges(kind: type[Any]) -> dict[str, Range]:
    """The range of each field of a dataclass that has one.

    A subclass that annotates a field without a range inherits the range of its base.
    """
    found: dict[str, Range] = {}
    for base in reversed(kind.__mro__):
        for name, hint in get_type_hints(base, include_extras=True).items():
            for each in getattr(hint, "__metadata__", ()):
                if isinstance(each, Range):
                    found[name] = each
    return {field.name: found[field.name] for field in fields(kind) if field.name in found}

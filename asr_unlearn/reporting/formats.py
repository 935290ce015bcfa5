"""Numbers as text. A figure that was not computed is a dash, never a zero."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from asr_unlearn.reporting.comparison import Spread

MISSING = "—"
PART_NAMES = {
    "forget": "forget",
    "forget_heldout": "held-out",
    "retain": "retain",
    "unseen": "unseen",
    "test": "test",
    "forgotten": "earlier",
}


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of figure is written: decimals, scale, unit, and whether it always has a sign.

    A positive figure below `least` is written as that. With `of_each`, several seeds' figures stand
    beside each other: a mean of probabilities means nothing.
    """

    decimals: Callable[[float], int]
    scale: float = 1.0
    unit: str = ""
    signed: bool = False
    least: float = 0.0
    of_each: bool = False

    def __call__(self, value: float) -> str:
        if 0 <= value < self.least:
            return f"<{self.least:g}"
        return self._digits(value, self.decimals(self.scale * value)) + self.unit

    def size(self, value: float) -> str:
        """Without its sign."""
        return self(abs(value)).lstrip("+")

    def spread(self, found: Spread | None) -> str:
        """One seed's figure, mean ± standard deviation over several that differ, or a dash."""
        if found is None:
            return MISSING
        if self.of_each:
            return ", ".join(dict.fromkeys(map(self, found.values)))
        # One seed, the same in each, or too small to say more of it.
        if not found.deviation or 0 <= found.mean < self.least:
            return self(found.mean)
        decimals = self.decimals(self.scale * max(abs(found.mean), found.deviation))
        deviation = f"{self.scale * found.deviation:.{decimals}f}"
        return f"{self._digits(found.mean, decimals)} ± {deviation}{self.unit}"

    def _digits(self, value: float, decimals: int) -> str:
        digits = f"{abs(self.scale * value):,.{decimals}f}".replace(",", THOUSANDS)
        if not digits.strip("0."):
            return digits  # what rounds to zero has no sign
        plus = "+" if self.signed else ""
        return f"{'−' if value < 0 else plus}{digits}"


THOUSANDS = "\N{NARROW NO-BREAK SPACE}"


def _two_below_ten(value: float) -> int:
    return 2 if abs(value) < 9.995 else 1


def _three_or_more(value: float) -> int:
    """Three decimals; more for a small value, so that it does not read as zero."""
    # What is below is rounding.
    if abs(value) < 1e-9 or abs(value) >= 0.01:
        return 3
    return 1 - math.floor(math.log10(abs(value)))


percent = Form(_two_below_ten, scale=100, unit="%")
points = Form(_two_below_ten, scale=100, signed=True)  # percentage points
number = Form(_three_or_more)
difference = Form(_three_or_more, signed=True)
probability = Form(lambda _: 3, least=0.001, of_each=True)
times = Form(lambda _: 3, unit="×")
count = Form(lambda _: 0)
megabytes = Form(lambda _: 0, scale=2**-20, unit=" MiB")
seconds = Form(lambda value: 1 if value < 100 else 0, unit=" s")


def duration(value: float) -> str:
    """Seconds as text: 81.4 -> "81.4 s", 754 -> "12 min 34 s", 7500 -> "2 h 5 min"."""
    whole = round(value)
    if value < 100:
        return seconds(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def listed(words: list[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def bracketed(*notes: str) -> str:
    """("a", "", "b") -> " (a, b)"; empty without notes."""
    given = ", ".join(filter(None, notes))
    return f" ({given})" if given else ""

"""Types of arguments that several commands share."""

from collections import Counter
from typing import TYPE_CHECKING

from jsonargparse.typing import restricted_number_type

from asr_unlearn.data.split import PARTS
from asr_unlearn.runtime.errors import InputError

if TYPE_CHECKING:
    Seed = int
else:
    # As NumPy's old generator takes them, which SpecAugment draws from.
    Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**32)])


def parts_of(text: str) -> list[str]:
    """The parts of `"retain,forget"`.

    Raises:
        ValueError: one that there is not, or one twice.
    """
    parts = [part.strip() for part in text.split(",")]
    for part, count in Counter(parts).items():
        if part not in PARTS:
            raise InputError(f"no part is called {part!r}; there are {', '.join(PARTS)}")
        if count > 1:
            raise InputError(f"--parts {text} names {part} {count} times; name it once")
    return parts

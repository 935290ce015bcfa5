"""Types of numbers that a command line checks; to Python they are plain numbers."""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Seed: TypeAlias = int
    NonNegativeInt: TypeAlias = int
    PositiveInt: TypeAlias = int
else:
    from jsonargparse.typing import NonNegativeInt as NonNegativeInt
    from jsonargparse.typing import PositiveInt as PositiveInt
    from jsonargparse.typing import restricted_number_type

    # The range of NumPy's old generator, which SpecAugment draws from.
    Seed = restricted_number_type("Seed", int, [(">=", 0), ("<", 2**32)])

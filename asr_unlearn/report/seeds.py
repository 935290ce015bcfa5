"""The same model over several seeds: mean, standard deviation, and what counts as a difference."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from asr_unlearn.report.results import Model, Results

ORIGINAL = "original"
RETRAINED = "retrained"


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of one model name, a value for each seed that has it."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def range(self) -> float:
        return max(self.values) - min(self.values)


@dataclass(frozen=True, slots=True)
class Entry:
    """The models of one name, a seed each."""

    name: str
    models: tuple[Model, ...]

    def spread(self, *keys: str) -> Spread | None:
        """The figure below `keys` over the seeds that have it; None where none has."""
        found = [value for model in self.models if (value := model.figure(*keys)) is not None]
        return Spread(tuple(found)) if found else None


def entries(results: Results) -> list[Entry]:
    """Original first, retrained second, then the methods as results.json lists them."""
    names = list(dict.fromkeys(model.name for model in results.models))
    first = [name for name in (ORIGINAL, RETRAINED) if name in names]
    ordered = first + [name for name in names if name not in first]
    return [Entry(name, tuple(m for m in results.models if m.name == name)) for name in ordered]


def named(found: Sequence[Entry], name: str) -> Entry | None:
    return next((entry for entry in found if entry.name == name), None)


def methods(found: Sequence[Entry]) -> list[Entry]:
    """The unlearned models: all but the original and the retrained."""
    return [entry for entry in found if entry.name not in (ORIGINAL, RETRAINED)]


def seeds(found: Sequence[Entry]) -> list[int]:
    return sorted({model.seed for entry in found for model in entry.models})


def no_difference(gap: Spread, found: Sequence[Entry], metric: str, part: str) -> bool:
    """Whether a mean gap is no larger than two retrained models of different seeds differ.

    The yardstick is the range (largest minus smallest) of the retrained models' own figures, so
    there is no answer but False where fewer than two of them have the figure.
    """
    retrained = named(found, RETRAINED)
    own = retrained.spread(metric, part) if retrained else None
    return own is not None and len(own.values) > 1 and abs(gap.mean) <= own.range

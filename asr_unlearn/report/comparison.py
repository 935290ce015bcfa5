"""Models over several seeds beside the retrained one: spread, gap, and what counts as none."""

import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from asr_unlearn.evaluation.results import Model, Results
from asr_unlearn.report.forgotten import Forgotten, forgotten
from asr_unlearn.report.quantity import Quantity, quantity

ORIGINAL = "original"
RETRAINED = "retrained"
# Retrained models may agree to the last digit; what is left of subtracting equal figures does not.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of one model name, a value for each seed that has it."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def size(self) -> float:
        """Mean distance from zero: two misses in opposite directions do not cancel out."""
        return statistics.fmean(map(abs, self.values))

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
        return _spread([model.figure(*keys) for model in self.models])

    @property
    def seeds(self) -> frozenset[int]:
        return frozenset(model.seed for model in self.models)

    def at(self, seeds: Collection[int]) -> "Entry":
        """The models of these seeds alone."""
        return Entry(self.name, tuple(model for model in self.models if model.seed in seeds))


@dataclass(frozen=True, slots=True)
class Comparison:
    """All models of a results.json, the quantity of their task, and what was to be forgotten."""

    rate: Quantity
    forgotten: Forgotten
    entries: tuple[Entry, ...]

    @property
    def original(self) -> Entry | None:
        return self.named(ORIGINAL)

    @property
    def retrained(self) -> Entry | None:
        return self.named(RETRAINED)

    @property
    def methods(self) -> list[Entry]:
        """The unlearned models: all but the original and the retrained."""
        return [entry for entry in self.entries if entry.name not in (ORIGINAL, RETRAINED)]

    @property
    def seeds(self) -> list[int]:
        return sorted(frozenset().union(*(entry.seeds for entry in self.entries)))

    def fewer_seeds(self, spread: Spread) -> str:
        """“2 of 3 seeds” for a figure that not every seed of the results has, else nothing."""
        number, every = len(spread.values), len(self.seeds)
        return f"{number} of {every} seeds" if number < every else ""

    def named(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def has(self, *keys: str) -> bool:
        """Whether any model has the figure."""
        return any(entry.spread(*keys) for entry in self.entries)

    def parts(self, metric: str, among: Sequence[str]) -> list[str]:
        """The parts that any model has this metric for."""
        return [part for part in among if self.has(metric, part)]

    def gap(self, entry: Entry, *keys: str) -> Spread | None:
        """Model minus retrained model of the same seed, for the seeds where both have the figure.

        As results.json states it; figures whose gap it does not state are subtracted here.
        """
        return _spread([self._gap(model, keys) for model in entry.models])

    def _gap(self, model: Model, keys: Sequence[str]) -> float | None:
        stated = model.figure("gap_to_retrained", *keys)
        if stated is not None or self.retrained is None:
            return stated
        own, gold = model.figure(*keys), self.retrained.at({model.seed}).spread(*keys)
        return None if own is None or gold is None else own - gold.mean

    def beside(self, entry: Entry, *keys: str) -> tuple[Entry, Entry | None]:
        """Entry and retrained model at the seeds of their gap; without a gap the entry alone."""
        seeds = {m.seed for m in entry.models if self._gap(m, keys) is not None}
        if not seeds:
            return entry, None
        return entry.at(seeds), self.retrained.at(seeds) if self.retrained else None

    def no_difference(self, gap: Spread, *keys: str) -> bool:
        """Whether gaps are on average no larger than retrained models of different seeds differ.

        The yardstick is the range (largest minus smallest) of the retrained models' own figures,
        so there is no answer but False where fewer than two of them have the figure.
        """
        own = self.retrained.spread(*keys) if self.retrained else None
        return own is not None and len(own.values) > 1 and gap.size <= own.range + ROUNDING

    def inside(self, entry: Entry, metric: str, key: str) -> bool:
        """Whether a figure lies in the 95% interval of the only retrained model, of its seed."""
        if self.retrained is None or len(self.retrained.models) > 1:
            return False
        own = self.beside(entry, metric, key)[0].spread(metric, key)
        bounds = self.retrained.models[0].interval(metric, key)
        return own is not None and bounds is not None and bounds[0] <= own.mean <= bounds[1]

    def alike(self, entry: Entry, metric: str, key: str) -> bool:
        """No difference over several seeds; with one, inside the retrained model's interval."""
        gap = self.gap(entry, metric, key)
        if gap is None:
            return False
        return self.no_difference(gap, metric, key) or self.inside(entry, metric, key)


def compare(results: Results) -> Comparison:
    """Original first, retrained second, then the methods as results.json lists them."""
    names = list(dict.fromkeys(model.name for model in results.models))
    first = [name for name in (ORIGINAL, RETRAINED) if name in names]
    ordered = first + [name for name in names if name not in first]
    models = results.models
    entries = (Entry(name, tuple(m for m in models if m.name == name)) for name in ordered)
    return Comparison(quantity(results), forgotten(results), tuple(entries))


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = tuple(value for value in values if value is not None)
    return Spread(known) if known else None

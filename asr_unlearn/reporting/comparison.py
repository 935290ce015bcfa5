"""All models beside the retrained one, as one tidy table: a row for each figure of each model.

Computed once by `compare`. Tables, figures, the summary and the terminal render these rows.
"""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED, Model, Results
from asr_unlearn.reporting.forgotten import Forgotten, forgotten
from asr_unlearn.reporting.quantity import Quantity, quantity

# Retrained models may agree to the last digit; what is left of subtracting equal figures does not.
ROUNDING = 1e-9
# Blocks of a model's record that are no figures: intervals and gaps belong to other rows.
NO_FIGURES = ("seed", "options", "ci95", "gap_ci95")
# Distances from the retrained model, which its own are 0 from: there is no range to compare with.
DISTANCES = "divergence"

Keys = tuple[str, ...]
Verdict = Literal["no difference", "difference may be 0", "differs", ""]


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure of one model, a value for each seed that has it."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def size(self) -> float:
        """Mean absolute value: differences of opposite sign do not cancel out."""
        return statistics.fmean(map(abs, self.values))

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None for one seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def range(self) -> float:
        return max(self.values) - min(self.values)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One figure of one model, and the same figure of the retrained model.

    Attributes:
        model: name.
        seed: of one run; None for all runs of the model together.
        keys: path of the figure in results.json, ("wer", "forget") for one.
        value: the figure of every seed that has it.
        interval: 95% interval over speakers; only of a single run.
        seeds: seeds that the figure and its difference from retrained are known for.
        gap: model minus retrained model of the same seed; None for the retrained model itself.
        gap_interval: 95% interval of the gap over speakers; only of a single run.
        shared, target: the model's and the retrained model's figure at `seeds`; without a gap,
            `shared` is `value`.
        verdict: "no difference" where the gaps are on average no larger than retrained models of
            different seeds differ; "difference may be 0" where the interval of the only gap holds
            0; else "differs"; "" where there is neither range nor interval to compare with.
    """

    model: str
    seed: int | None
    keys: Keys
    value: Spread
    interval: tuple[float, float] | None
    seeds: frozenset[int]
    gap: Spread | None
    gap_interval: tuple[float, float] | None
    shared: Spread
    target: Spread | None
    verdict: Verdict

    @property
    def alike(self) -> bool:
        """Whether the figure is the retrained model's within its variation."""
        return self.verdict in ("no difference", "difference may be 0")


@dataclass(frozen=True, slots=True)
class Entry:
    """The models of one name, a seed each."""

    name: str
    models: tuple[Model, ...]

    @property
    def seeds(self) -> frozenset[int]:
        return frozenset(model.seed for model in self.models)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tidy table, with the models in the order in which the report shows them.

    Attributes:
        corpus: name.
        rate: what is measured on every part: word error rate or accuracy.
        forgotten: what was to be forgotten.
        entries: original first, retrained second, then the methods.
        rows: every figure of every model.
    """

    corpus: str
    rate: Quantity
    forgotten: Forgotten
    entries: tuple[Entry, ...]
    rows: tuple[ComparisonRow, ...]
    _index: dict[tuple[str, int | None, Keys], ComparisonRow] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {(row.model, row.seed, row.keys): row for row in self.rows}
        object.__setattr__(self, "_index", index)

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

    def named(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def row(self, model: str, *keys: str, seed: int | None = None) -> ComparisonRow | None:
        """One figure of one model, over all its seeds or of one; None where it was not computed."""
        return self._index.get((model, seed, keys))

    def value(self, model: str, *keys: str) -> Spread | None:
        row = self.row(model, *keys)
        return row.value if row else None

    def at(self, model: str, seeds: Collection[int], *keys: str) -> Spread | None:
        """The figure at these seeds alone."""
        rows = (self.row(model, *keys, seed=seed) for seed in sorted(seeds))
        return _spread([row.value.mean for row in rows if row])

    def has(self, *keys: str) -> bool:
        """Whether any model has the figure."""
        return any(self.row(entry.name, *keys) for entry in self.entries)

    def seconds(self, model: str) -> Spread | None:
        """Duration of unlearning, or of training for a model that was not unlearned."""
        return self.value(model, "unlearn_seconds") or self.value(model, "seconds")

    def fewer_seeds(self, spread: Spread) -> str:
        """“2 of 3 seeds” for a figure that not every seed of the results has, else nothing."""
        number, every = len(spread.values), len(self.seeds)
        return f"{number} of {every} seeds" if number < every else ""

    def nearest(self, *keys: str) -> list[ComparisonRow]:
        """Rows of the methods whose mean absolute gap is smallest; several where they tie."""
        rows = [row for m in self.methods if (row := self.row(m.name, *keys)) and row.gap]
        smallest = min((row.gap.size for row in rows if row.gap), default=None)
        return [row for row in rows if row.gap and row.gap.size == smallest]


def compare(results: Results) -> Comparison:
    """The comparison of all models of a results.json."""
    names = list(dict.fromkeys(model.name for model in results.models))
    first = [name for name in (ORIGINAL, RETRAINED) if name in names]
    ordered = first + [name for name in names if name not in first]
    entries = [Entry(name, tuple(m for m in results.models if m.name == name)) for name in ordered]
    retrained = next((entry for entry in entries if entry.name == RETRAINED), None)
    rows = [row for entry in entries for row in _rows(entry, retrained)]
    corpus = results.record["corpus"]
    return Comparison(corpus, quantity(results), forgotten(results), tuple(entries), tuple(rows))


def no_difference(gap: Spread, retrained: Spread | None) -> bool:
    """Whether gaps are on average no larger than retrained models of different seeds differ.

    The measure is the range (largest minus smallest) of the retrained models' own figures, so it
    is False where fewer than two of them have the figure.
    """
    return (
        retrained is not None
        and len(retrained.values) > 1
        and gap.size <= retrained.range + ROUNDING
    )


def _rows(entry: Entry, retrained: Entry | None) -> Iterator[ComparisonRow]:
    for keys in dict.fromkeys(keys for m in entry.models for keys in _figures(m.record)):
        yield _row(entry, entry.models, None, keys, retrained)
        for model in entry.models:
            if model.figure(*keys) is not None:
                yield _row(entry, (model,), model.seed, keys, retrained)


def _figures(block: Mapping[str, Any], above: Keys = ()) -> Iterator[Keys]:
    """The path of every number; stated gaps of single figures belong to the figure's own row."""
    for key, value in block.items():
        keys = (*above, key)
        if keys[0] in NO_FIGURES:
            continue
        if isinstance(value, Mapping):
            if above[:1] != ("gap_to_retrained",):
                yield from _figures(value, keys)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield keys


def _row(
    entry: Entry, models: Sequence[Model], seed: int | None, keys: Keys, retrained: Entry | None
) -> ComparisonRow:
    value = _spread([model.figure(*keys) for model in models])
    assert value is not None
    targets = {model.seed: model for model in retrained.models} if retrained else {}
    gaps = {model.seed: _gap(model, targets.get(model.seed), keys) for model in models}
    if entry is retrained:
        gaps = {}
    gap = _spread(list(gaps.values()))
    seeds = frozenset(seed for seed, known in gaps.items() if known is not None)
    shared, target = value, None
    if gap is not None:
        shared = _spread([m.figure(*keys) for m in models if m.seed in seeds]) or value
        target = _spread([targets[seed].figure(*keys) for seed in sorted(seeds & targets.keys())])
    single = len(models) == 1 and len(keys) == 2
    bounds = models[0].gap_interval(*keys) if single and entry is not retrained else None
    return ComparisonRow(
        model=entry.name,
        seed=seed,
        keys=keys,
        value=value,
        interval=models[0].interval(*keys) if single else None,
        seeds=seeds,
        gap=gap,
        gap_interval=bounds,
        shared=shared,
        target=target,
        verdict=_verdict(gap, bounds, list(targets.values()), keys),
    )


def _verdict(
    gap: Spread | None,
    bounds: tuple[float, float] | None,
    retrained: Sequence[Model],
    keys: Keys,
) -> Verdict:
    if gap is None or keys[0] == DISTANCES:
        return ""
    every = _spread([model.figure(*keys) for model in retrained])
    if every is not None and len(every.values) > 1:
        return "no difference" if no_difference(gap, every) else "differs"
    if bounds is None:
        return ""
    return "difference may be 0" if bounds[0] <= 0 <= bounds[1] else "differs"


def _gap(model: Model, retrained: Model | None, keys: Keys) -> float | None:
    """As results.json states it; a gap that it does not state is computed here."""
    stated = model.figure("gap_to_retrained", *keys)
    if stated is not None or retrained is None:
        return stated
    own, target = model.figure(*keys), retrained.figure(*keys)
    return None if own is None or target is None else own - target


def _spread(values: Sequence[float | None]) -> Spread | None:
    known = tuple(value for value in values if value is not None)
    return Spread(known) if known else None

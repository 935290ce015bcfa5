"""The Jacobian G of the per-utterance losses, held as factors.

G has a row for each utterance and a column for each trainable number. It is never stored: its rows
are formed one range of columns at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.backward import contributions
from asr_unlearn.gradients.factors import Contribution, Dense
from asr_unlearn.gradients.recorder import leaves
from asr_unlearn.gradients.rules import WHOLE
from asr_unlearn.gradients.types import Batch, Gradient, Losses
from asr_unlearn.gradients.weighted_gradient import separate, trainable_parameters

NUMBERS_AT_ONCE = 2**21
"""How many numbers of G are formed at a time: they fit into a processor's cache."""

Group = tuple[str, ...]
"""One parameter, or several whose rows come from the same derived tensors."""


@dataclass(frozen=True)
class Source:
    """One operand of a use: a parameter, or a tensor derived from the parameters `names`."""

    contribution: Contribution
    operand: str
    names: frozenset[str]

    @property
    def tensor(self) -> Tensor:
        return self.contribution.operands[self.operand]

    @property
    def derived(self) -> bool:
        return not self.tensor.is_leaf


@dataclass(frozen=True)
class Range:
    """The columns of G of one parameter, or of a range of its first axis."""

    name: str
    part: slice
    rows: Float[Tensor, "B ..."]

    @property
    def flat(self) -> Float[Tensor, "B n"]:
        """The rows as vectors."""
        return self.rows.reshape(len(self.rows), self.rows[0].numel())


class Jacobian:
    """The matrix G of one batch, or of several that are run one after the other.

    Attributes:
        parameters: the trainable parameters by name.
        losses: the detached losses of all utterances.
        groups: the parameters in groups whose rows are formed together.
    """

    def __init__(self, model: nn.Module, losses: Losses[Batch], batches: Sequence[Batch]) -> None:
        self.parameters = trainable_parameters(model)
        names = {id(p): name for name, p in self.parameters.items()}
        found, values = [], []
        for batch in batches:
            uses, losses_of_batch = contributions(model, losses, batch)
            found.append([_source(use, operand, names) for use in uses for operand in use.operands])
            values.append(losses_of_batch)
        self.losses: Float[Tensor, " B"] = torch.cat(values)
        self.groups = _groups(list(self.parameters), found)
        self._sizes = [len(v) for v in values]
        self._sources: dict[Group, list[list[Source]]] = {
            group: [[] for _ in found] for group in self.groups
        }
        group_of = {name: group for group in self.groups for name in group}
        for number, sources in enumerate(found):
            for source in sources:
                self._sources[group_of[min(source.names)]][number].append(source)

    def __len__(self) -> int:
        return len(self.losses)

    def full_precision(self) -> torch.autocast:
        """The context for products with G: no autocast."""
        return torch.autocast(self.losses.device.type, enabled=False)

    def ranges(self, group: Group, utterances: int) -> Iterator[Range]:
        """The rows of these parameters, in ranges sized for this many utterances.

        With several processes that is their total, so that all use the same ranges. The rows of a
        range may be overwritten when the next one is formed.
        """
        batches = self._sources[group]
        if any(s.derived for sources in batches for s in sources):
            for name, rows in self._derived_rows(group).items():
                yield Range(name, WHOLE, rows)
        else:
            only = self.only_source(group) if utterances == len(self) else None
            if only is not None and isinstance(only.contribution, Dense):
                yield Range(group[0], WHOLE, only.contribution.rows(only.operand))
            else:
                yield from self._direct_rows(group[0], utterances)

    def only_source(self, group: Group) -> Source | None:
        """The only source of these rows, if there is one and it is a parameter; else None."""
        sources = [s for sources in self._sources[group] for s in sources]
        only = sources[0] if len(sources) == len(self._sizes) == len(group) == 1 else None
        return None if only is None or only.derived else only

    def totals(self, weights: Mapping[str, Float[Tensor, " B"]]) -> Iterator[tuple[str, Tensor]]:
        """Σ wᵢ gᵢ of each of these parameters, with its own weights; frees G on the way."""
        for group in self.groups:
            with self.full_precision():
                totals = self._totals(group, weights)
            del self._sources[group]
            for name in (name for name in group if name in weights):
                found = totals.get(name)
                yield name, torch.zeros_like(self.parameters[name]) if found is None else found

    def _totals(self, group: Group, weights: Mapping[str, Float[Tensor, " B"]]) -> Gradient:
        totals: Gradient = {}
        # Parameters of a group that share their weights need one product only.
        own = {name: weights[name] for name in group if name in weights}
        for key, vector in {id(vector): vector for vector in own.values()}.items():
            wanted = [name for name in own if id(own[name]) == key]
            pieces = torch.split(vector, self._sizes)
            for sources, piece in zip(self._sources[group], pieces, strict=True):
                values = [(s, s.contribution.total(s.operand, piece)) for s in sources]
                for name, gradient in self._gradients(wanted, values):
                    totals[name] = totals[name].add_(gradient) if name in totals else gradient
        return totals

    def _gradients(
        self, names: Sequence[str], values: Sequence[tuple[Source, Tensor]]
    ) -> Iterator[tuple[str, Tensor]]:
        """Gradients of these parameters from those of the sources."""
        for source, value in values:
            if not source.derived and source.names <= set(names):
                yield next(iter(source.names)), value
        derived = [(s, value) for s, value in values if s.derived and s.names & set(names)]
        if derived:
            gradients = torch.autograd.grad(
                [s.tensor for s, _ in derived],
                [self.parameters[name] for name in names],
                [value for _, value in derived],
                retain_graph=True,
                allow_unused=True,
            )
            reached = {n: g for n, g in zip(names, gradients, strict=True) if g is not None}
            yield from zip(reached, separate(reached.values()), strict=True)

    def _direct_rows(self, name: str, utterances: int) -> Iterator[Range]:
        parameter, batches = self.parameters[name], self._sources[name,]
        divisible = all(s.contribution.divisible for sources in batches for s in sources)
        parts = _parts(parameter, utterances) if divisible and parameter.dim() else [WHOLE]
        numbers = len(self) * columns(parameter, parts[0]).numel()
        buffer = torch.empty(numbers, dtype=parameter.dtype, device=parameter.device)
        for part in parts:
            shape = columns(parameter, part).shape
            rows = buffer[: len(self) * prod(shape)].view(len(self), *shape)
            for sources, block in zip(batches, rows.split(self._sizes), strict=True):
                _fill(block, sources, part)
            yield Range(name, part, rows)

    def _derived_rows(self, group: Group) -> dict[str, Float[Tensor, "B ..."]]:
        rows = {
            name: parameter.new_zeros(len(self), *parameter.shape)
            for name, parameter in self.parameters.items()
            if name in group
        }
        start = 0
        for sources, size in zip(self._sources[group], self._sizes, strict=True):
            for i in range(size):
                values = [(s, s.contribution.row(s.operand, i)) for s in sources]
                for name, gradient in self._gradients(group, values):
                    rows[name][start + i].add_(gradient)
            start += size
        return rows


def _source(contribution: Contribution, operand: str, names: Mapping[int, str]) -> Source:
    ancestors = leaves(contribution.operands[operand])
    return Source(
        contribution, operand, frozenset(names[id(a)] for a in ancestors if id(a) in names)
    )


def _groups(names: Sequence[str], batches: Sequence[Sequence[Source]]) -> list[Group]:
    """Groups of the names that share a derived tensor in any batch; all others alone."""
    group_of = {name: {name} for name in names}
    for source in (s for sources in batches for s in sources):
        merged = set().union(*(group_of[name] for name in source.names))
        group_of.update(dict.fromkeys(merged, merged))
    ordered = {tuple(n for n in names if n in group_of[name]): None for name in names}
    return list(ordered)


def columns(tensor: Tensor, part: slice) -> Tensor:
    """A range of the first axis; the tensor itself for `WHOLE`, as it may have no axis."""
    return tensor if part == WHOLE else tensor[part]


def _parts(parameter: Tensor, utterances: int) -> list[slice]:
    """Ranges of the first axis that keep B rows of a range within `NUMBERS_AT_ONCE`."""
    length = max(1, NUMBERS_AT_ONCE // max(1, utterances * prod(parameter.shape[1:])))
    starts = range(0, max(1, len(parameter)), length)
    return [slice(start, min(start + length, len(parameter))) for start in starts]


def _fill(block: Float[Tensor, "B ..."], sources: Sequence[Source], part: slice) -> None:
    """Write the sum of the sources' rows into the block."""
    if not sources:
        block.zero_()
    for i, source in enumerate(sources):
        rows = source.contribution.rows(source.operand, part, None if i else block)
        if i:
            block.add_(rows)
        elif rows.data_ptr() != block.data_ptr():
            block.copy_(rows)

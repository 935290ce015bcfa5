"""The contribution of one use of trainable tensors to the Jacobian G.

Its operands are parameters, or tensors derived from parameters alone.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from asr_unlearn.gradients.rules import WHOLE, Broadcast, Factors, Rule


@dataclass(frozen=True)
class Factored:
    """Rows held as factors: input `x` and output gradient `delta` of each of n positions.

    `assignment` has the utterance of each position; `even` says whether all utterances have runs of
    positions of equal length, in their order.
    """

    rule: Rule
    operands: dict[str, Tensor]
    options: dict[str, Any]
    x: Shaped[Tensor, "n ..."]
    delta: Float[Tensor, "n ..."]
    assignment: Int[Tensor, " n"]
    utterances: int
    even: bool

    @property
    def divisible(self) -> bool:
        """Whether the cost of a range of a weight's rows is proportional to the range."""
        return self.rule.divisible

    def rows(
        self, operand: str, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "B ..."]:
        """Every utterance's gradient of the operand, or of a range of its first axis.

        `out`, of the result's shape, may be written to.
        """
        factors = None if self._has_positions(operand) else self.even_factors()
        if factors is not None:
            return self.rule.rows(operand, factors, part, out)
        return torch.stack([self.row(operand, i, part) for i in range(self.utterances)])

    def row(self, operand: str, utterance: int, part: slice = WHOLE) -> Float[Tensor, "..."]:
        """One utterance's gradient of the operand, or of a range of its first axis."""
        mine = self.assignment == utterance
        if self._has_positions(operand):
            # A row then has all positions, with zeros at those of other utterances.
            delta = self.delta * mine.view(-1, *[1] * (self.delta.dim() - 1))
            return self.rule.rows(operand, Factors(self.x, delta, 1, self.options), part)[0]
        if not mine.any():
            tensor = self.operands[operand]
            return torch.zeros_like(tensor if part == WHOLE else tensor[part]).detach()
        factors = Factors(self.x[mine], self.delta[mine], 1, self.options)
        return self.rule.rows(operand, factors, part)[0]

    def total(self, operand: str, weights: Float[Tensor, " B"]) -> Float[Tensor, "..."]:
        """Σ wᵢ gᵢ of the operand, from one weighted product."""
        scale = weights.to(self.delta)[self.assignment]
        delta = self.delta * scale.view(-1, *[1] * (self.delta.dim() - 1))
        return self.rule.rows(operand, Factors(self.x, delta, 1, self.options))[0]

    @property
    def rows_are_smaller(self) -> bool:
        """Whether the rows themselves take less than half of the memory.

        So they do for long utterances and narrow layers, and for every normalisation. The limit is
        half because several uses may share their input.
        """
        rows = self.utterances * sum(tensor.numel() for tensor in self.operands.values())
        return 2 * rows <= self.x.numel() + self.delta.numel()

    def as_rows(self) -> "Dense":
        """The same contribution, held as rows."""
        values = {name: self.rows(name).contiguous() for name in self.operands}
        return Dense(self.operands, values, self.divisible)

    def even_factors(self) -> Factors | None:
        """The factors of all utterances together, if they have even runs; else None."""
        if not self.even:
            return None
        return Factors(self.x, self.delta, self.utterances, self.options)

    def _has_positions(self, operand: str) -> bool:
        """Whether the operand's leading axis is that of the batch's positions."""
        shape = self.operands[operand].shape
        return (
            isinstance(self.rule, Broadcast)
            and len(shape) == self.delta.dim()
            and len(shape) > 0
            and shape[0] == len(self.delta)
        )


@dataclass(frozen=True)
class Dense:
    """Rows held themselves: small ones, or those of one backward pass per utterance."""

    operands: dict[str, Tensor]
    values: dict[str, Float[Tensor, "B ..."]]
    divisible: bool
    """The rule's, so that all processes use the same ranges, whether they hold factors or rows."""

    def rows(
        self, operand: str, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "B ..."]:
        values = self.values[operand]
        return values if part == WHOLE else values[:, part]

    def row(self, operand: str, utterance: int) -> Float[Tensor, "..."]:
        return self.values[operand][utterance]

    def total(self, operand: str, weights: Float[Tensor, " B"]) -> Float[Tensor, "..."]:
        values = self.values[operand]
        total: Tensor = torch.tensordot(weights.to(values), values, dims=1)
        return total


Contribution = Factored | Dense

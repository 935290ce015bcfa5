"""What one use of trainable tensors adds to each utterance's gradient.

Its operands are parameters, or tensors derived from parameters alone.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from asr_unlearn.gradients.rules import WHOLE, Broadcast, Pair, Rule


@dataclass(frozen=True)
class Paired:
    """Rows held as input and output gradient; `owner` names the utterance of each position."""

    rule: Rule
    operands: dict[str, Tensor]
    options: dict[str, Any]
    x: Shaped[Tensor, "n ..."]
    delta: Float[Tensor, "n ..."]
    owner: Int[Tensor, " n"]
    utterances: int

    @property
    def divisible(self) -> bool:
        """Whether the rows of a part of a weight cost no more than that part."""
        return self.rule.divisible

    def rows(
        self, operand: str, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "B ..."]:
        """Every utterance's gradient of the operand, or of a range of its first axis.

        `out`, of the result's shape, may be written to.
        """
        pair = None if self._has_positions(operand) else self.even_pair()
        if pair is not None:
            return self.rule.rows(operand, pair, part, out)
        return torch.stack([self._alone(operand, i, part) for i in range(self.utterances)])

    def row(self, operand: str, utterance: int) -> Float[Tensor, "..."]:
        """One utterance's gradient of the operand."""
        return self._alone(operand, utterance, WHOLE)

    def total(self, operand: str, weights: Float[Tensor, " B"]) -> Float[Tensor, "..."]:
        """Σ wᵢ gᵢ of the operand, from one weighted product."""
        scale = weights.to(self.delta)[self.owner]
        delta = self.delta * scale.view(-1, *[1] * (self.delta.dim() - 1))
        return self.rule.rows(operand, Pair(self.x, delta, 1, self.options))[0]

    def smaller(self) -> "Contribution":
        """This, or the rows themselves where they take less than half of the memory.

        Long utterances and narrow layers, and every normalisation, are better off as rows; half,
        because several uses may share their input.
        """
        rows = self.utterances * sum(tensor.numel() for tensor in self.operands.values())
        if 2 * rows > self.x.numel() + self.delta.numel():
            return self
        values = {name: self.rows(name).contiguous() for name in self.operands}
        return Dense(self.operands, values, self.divisible)

    def even_pair(self) -> Pair | None:
        """All positions, if they form one run of equal length for each utterance in turn."""
        share, remainder = divmod(len(self.owner), self.utterances)
        order = torch.arange(self.utterances, device=self.owner.device)
        if remainder or not torch.equal(self.owner, order.repeat_interleave(share)):
            return None
        return Pair(self.x, self.delta, self.utterances, self.options)

    def _has_positions(self, operand: str) -> bool:
        """Whether the operand has a place for every position of the batch."""
        shape = self.operands[operand].shape
        return (
            isinstance(self.rule, Broadcast)
            and len(shape) == self.delta.dim()
            and len(shape) > 0
            and shape[0] == len(self.delta)
        )

    def _alone(self, operand: str, utterance: int, part: slice) -> Float[Tensor, "..."]:
        mine = self.owner == utterance
        if self._has_positions(operand):
            # So a row has them all too, with zeros where the position is another utterance's.
            delta = self.delta * mine.view(-1, *[1] * (self.delta.dim() - 1))
            return self.rule.rows(operand, Pair(self.x, delta, 1, self.options), part)[0]
        if not mine.any():
            tensor = self.operands[operand]
            return torch.zeros_like(tensor if part == WHOLE else tensor[part]).detach()
        pair = Pair(self.x[mine], self.delta[mine], 1, self.options)
        return self.rule.rows(operand, pair, part)[0]


@dataclass(frozen=True)
class Dense:
    """Rows held as they are: small ones, or from one backward pass per utterance."""

    operands: dict[str, Tensor]
    values: dict[str, Float[Tensor, "B ..."]]
    divisible: bool
    """As it is for the rule, so that several processes agree on ranges whatever they hold."""

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


Contribution = Paired | Dense

"""Per-utterance gradients of a table that an einsum contracts with the batch; see rules.py.

wav2vec2-bert and similar models multiply queries by embeddings of distances so.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.rules import WHOLE, Factors, Rule, rule_for

# An index that einsum takes and that no model uses.
GROUP = "Z"


def contracted(input: Tensor, table: Tensor, equation: str) -> Tensor:
    """The einsum of two tensors, with the batch as the first argument."""
    return torch.einsum(equation, input, table)


def _indices(equation: str) -> tuple[str, str, str]:
    """The indices of both operands and of the output; empty if they are not stated in full."""
    operands, arrow, output = equation.replace(" ", "").partition("->")
    first, comma, second = operands.partition(",")
    stated = arrow and comma and "," not in second and not {".", GROUP} & set(equation)
    return (first, second, output) if stated else ("", "", "")


@rule_for(contracted)
class Contraction(Rule):
    """An einsum whose first operand and output have the batch on their first axis."""

    arguments = ("input", "table", "equation")
    operands = ("table",)

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        inputs, table, output = _indices(options["equation"])
        batch = inputs[:1]
        apart = bool(batch) and output.startswith(batch) and batch not in table
        # A sum over an axis of the table alone, or a diagonal of it, is left to the general way.
        return apart and len(set(table)) == len(table) and set(table) <= set(inputs + output)

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        inputs, table, output = _indices(factors.options["equation"])
        x, delta = (
            torch.unflatten(value, 0, (factors.groups, -1)) for value in (factors.x, factors.delta)
        )
        equation = f"{GROUP}{inputs},{GROUP}{output}->{GROUP}{table}"
        return torch.einsum(equation, x, delta)[:, part]

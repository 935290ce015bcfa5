"""Per-utterance parameter gradients of each operation, from its input and output gradient.

A rule is for an operation, not for a module class: `nn.Linear`, a LoRA layer, an attention that
passes its projections to a function, and Whisper's tied output projection all call `F.linear`. To
add a rule, write the class and decorate it with its operations. An operation without a rule is
exact too, but slower (see recorder.py). Convolutions have a file of their own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor

WHOLE = slice(None)


@dataclass(frozen=True)
class Factors:
    """The input of an operation, and the gradient of the loss at its output.

    The leading axis of both consists of `groups` runs of equal length, one for each utterance.
    """

    x: Shaped[Tensor, "n ..."]
    delta: Float[Tensor, "n ..."]
    groups: int
    options: dict[str, Any]
    """The operation's other arguments by name."""


class Rule(ABC):
    """Gives the gradients of one operation's trained operands."""

    arguments: ClassVar[tuple[str, ...]]
    """The operation's positional parameters; the first one has the batch."""
    operands: ClassVar[tuple[str, ...]]
    """Those of `arguments` that may be trained."""
    divisible: ClassVar[bool] = False
    """Whether the cost of a range of a weight's rows is proportional to the range."""

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        """Whether the rule is correct for this call."""
        return True

    @abstractmethod
    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        """The operand's gradient, summed within each group.

        `part` restricts it to a range of the operand's first axis, so that the rows of a large
        tensor are not in memory at once. `out`, of the result's shape, may be written to.
        """


RULES: dict[Callable[..., Any], Rule] = {}


def rule_for(*operations: Callable[..., Any]) -> Callable[[type[Rule]], type[Rule]]:
    """Register an instance of the class for these operations."""

    def register(rule: type[Rule]) -> type[Rule]:
        RULES.update(dict.fromkeys(operations, rule()))
        return rule

    return register


@rule_for(F.linear)
class Linear(Rule):
    """y = x Wᵀ + b over any number of axes between the first and the last."""

    arguments = ("input", "weight", "bias")
    operands = ("weight", "bias")
    divisible = True

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        return x.dim() > 1 and options["weight"].dim() == 2

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        delta = factors.delta.reshape(factors.groups, -1, factors.delta.shape[-1])[..., part]
        if operand == "bias":
            return delta.sum(1)
        return torch.bmm(
            delta.mT, factors.x.reshape(factors.groups, -1, factors.x.shape[-1]), out=out
        )

    def ghost_is_cheaper(self, factors: Factors) -> bool:
        """Whether `gram` and `products` cost less than forming the weight's rows.

        In multiplications for each of the weight's numbers and each utterance of T positions:
        the factors need 2T more for the products and the mean, and 2BT²(1/i + 1/o) for the pairs
        of positions; rows need 2B for their Gram matrix and the time of about 45 multiplications
        for memory access (measured on one x86 core; the two are equal near T = 16).
        """
        inputs, outputs = factors.x.shape[-1], factors.delta.shape[-1]
        length = factors.delta.numel() // (outputs * factors.groups)
        pairs = 2 * factors.groups * length**2 * (1 / inputs + 1 / outputs)
        return 2 * length + pairs < 45 + 2 * factors.groups

    def gram(self, factors: Factors) -> Float[Tensor, "groups groups"]:
        """K of the weight without its rows: Σ (x·x′)(δ·δ′) over all pairs of positions."""
        x = factors.x.reshape(-1, factors.x.shape[-1])
        delta = factors.delta.reshape(-1, factors.delta.shape[-1])
        overlaps = (x @ x.T).mul_(delta @ delta.T)
        length = len(x) // factors.groups
        return torch.sum(overlaps.view(factors.groups, length, factors.groups, length), dim=(1, 3))

    def products(
        self, factors: Factors, direction: Float[Tensor, "o i"]
    ) -> Float[Tensor, " groups"]:
        """Inner products of the weight's rows with a direction, without the rows."""
        return ((factors.delta @ direction) * factors.x).reshape(factors.groups, -1).sum(1)


@rule_for(F.layer_norm)
class LayerNorm(Rule):
    """Normalisation over the last axes, then scale and shift."""

    arguments = ("input", "normalized_shape", "weight", "bias", "eps")
    operands = ("weight", "bias")

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        return x.dim() > len(options["normalized_shape"])

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        shape, delta = tuple(factors.options["normalized_shape"]), factors.delta
        if operand == "weight":
            delta = delta * F.layer_norm(factors.x, shape, eps=factors.options.get("eps", 1e-5))
        return delta.reshape(factors.groups, -1, *shape).sum(1)[:, part]


@rule_for(F.group_norm)
class GroupNorm(Rule):
    """Normalisation within groups of channels of [n, C, ...], then scale and shift by channel."""

    arguments = ("input", "num_groups", "weight", "bias", "eps")
    operands = ("weight", "bias")

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups C"]:
        delta, options = factors.delta, factors.options
        if operand == "weight":
            delta = delta * F.group_norm(
                factors.x, options["num_groups"], eps=options.get("eps", 1e-5)
            )
        return by_channel(delta, factors.groups)[:, part]


@rule_for(F.batch_norm)
class BatchNorm(Rule):
    """Batch norm in eval mode, where it is a fixed affine map of each channel."""

    arguments = (
        "input",
        "running_mean",
        "running_var",
        "weight",
        "bias",
        "training",
        "momentum",
        "eps",
    )
    operands = ("weight", "bias")

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        return not options.get("training", False)

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups C"]:
        delta, options = factors.delta, factors.options
        if operand == "weight":
            mean, variance = options["running_mean"], options["running_var"]
            delta = delta * F.batch_norm(factors.x, mean, variance, eps=options.get("eps", 1e-5))
        return by_channel(delta, factors.groups)[:, part]


def by_channel(delta: Float[Tensor, "n C ..."], groups: int) -> Float[Tensor, "groups C"]:
    """The sums of each group and channel."""
    n, channels = delta.shape[:2]
    return delta.reshape(groups, n // groups, channels, -1).sum((1, 3))


@rule_for(F.embedding)
class Embedding(Rule):
    """A table indexed by ids of the batch."""

    arguments = ("input", "weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq")
    operands = ("weight",)
    divisible = True

    def applies(self, x: Tensor, options: dict[str, Any]) -> bool:
        # Both make an utterance's gradient depend on the rest of the batch.
        alone = options.get("max_norm") is None and not options.get("scale_grad_by_freq")
        return alone and x.dim() > 0

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        vocabulary, width = factors.options["weight"].shape
        start, stop, _ = part.indices(vocabulary)
        ids = factors.x.reshape(factors.groups, -1)
        group = torch.arange(factors.groups, device=ids.device)[:, None].expand_as(ids)
        wanted = (ids >= start) & (ids < stop)
        padding = factors.options.get("padding_idx")
        if padding is not None:
            wanted &= ids != padding % vocabulary
        delta = factors.delta.reshape(*ids.shape, width)[wanted]
        rows = delta.new_zeros(factors.groups * (stop - start), width)
        rows.index_add_(0, (group * (stop - start) + ids - start)[wanted], delta)
        return rows.view(factors.groups, stop - start, width)


class Broadcast(Rule):
    """A tensor that an operation broadcasts over the batch.

    Used for every operation without a rule: recorder.py cuts a trained tensor out of the graph
    where it meets the batch, and `delta` is the gradient at the cut.
    """

    arguments = ("value",)
    operands = ("value",)

    def rows(
        self, operand: str, factors: Factors, part: slice = WHOLE, out: Tensor | None = None
    ) -> Float[Tensor, "groups ..."]:
        shape = factors.options["value"].shape
        rows = [
            d.sum_to_size(shape) for d in torch.unflatten(factors.delta, 0, (factors.groups, -1))
        ]
        return torch.stack(rows) if part == WHOLE else torch.stack(rows)[:, part]

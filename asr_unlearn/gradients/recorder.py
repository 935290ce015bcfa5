"""Records in a forward pass every place where trainable tensors meet the batch.

Operations are recorded, not modules, so that weights which are tied, normalised, used twice or
passed to a function are covered. A tensor computed from parameters, buffers and constants alone is
*free* of the batch. Where a free tensor that needs a gradient meets the batch, it is detached, and
the place is recorded as a `Use`:

- an operation with a rule (rules.py): its input is kept, and its output gradient is read later;
- any other operation: the tensor is cut out of the graph, and the gradient at the cut is read.

Parameters that the recorder does not see, in compiled or custom operations, are found in the
autograd graph afterwards, and recorded as cuts at the parameter itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.overrides import TorchFunctionMode

from asr_unlearn.gradients import convolution_rules  # noqa: F401 - registers its rules
from asr_unlearn.gradients.attention import written_out_attention
from asr_unlearn.gradients.contraction_rule import contracted
from asr_unlearn.gradients.rules import RULES, Broadcast, Rule
from asr_unlearn.gradients.types import Batch, Losses
from asr_unlearn.gradients.weighted_gradient import trainable_parameters, utterance_losses

# Elementwise operations that broadcast their tensor arguments against each other.
BROADCASTING: frozenset[Any] = frozenset(
    getattr(module, name)
    for module, names in [
        (torch, ["add", "sub", "mul", "div", "where"]),
        (Tensor, ["add", "sub", "mul", "div", "add_", "sub_", "mul_", "div_"]),
    ]
    for name in names
)


class Tap:
    """Passes the gradient at a use to a listener, if there is one, during a backward pass."""

    def __init__(self) -> None:
        self.listener: Callable[[Tensor], None] | None = None


@dataclass(frozen=True, eq=False)
class Use:
    """A place where trainable tensors meet the batch.

    Attributes:
        rule: gives the operands' gradients from `x` and the output gradient.
        x: the operation's input.
        operands: parameters, or free tensors derived from them.
        options: the operation's arguments but for `x`, by name.
        edge: where the gradient of the output, or of the cut, arrives.
        positions: length of its leading axis.
        version: of `x` when it was recorded.
        tap: gives the same gradient during the backward pass; None for a parameter that the
            recorder did not see.
    """

    rule: Rule
    x: Shaped[Tensor, "..."]
    operands: dict[str, Tensor]
    options: dict[str, Any]
    edge: GradientEdge
    positions: int
    version: int
    tap: Tap | None


@dataclass(frozen=True)
class Forward:
    """The losses of a batch, with the parameters cut out of their graph, and the recorded uses.

    A backward pass to the `anchor` reaches every tap.
    """

    losses: Float[Tensor, " B"]
    uses: list[Use]
    anchor: Tensor


def record(model: nn.Module, losses: Losses[Batch], batch: Batch) -> Forward:
    """Compute the losses, and record every use of every trainable parameter."""
    recorder = _Recorder(model)
    with recorder:
        values = utterance_losses(losses, batch)
    trainable = {id(p) for p in trainable_parameters(model).values()}
    reached = nodes(values)
    # A model may compute outputs that the losses do not depend on.
    uses = [use for use in recorder.uses if use.positions and use.edge.node in reached]
    missed = [leaf for leaf in leaves(values) if id(leaf) in trainable and leaf.numel()]
    uses += [_cut_use(leaf, leaf, None) for leaf in missed]
    return Forward(values, uses, recorder.anchor)


def nodes(*tensors: Tensor) -> set[Node]:
    """All nodes of the autograd graphs of these tensors."""
    seen = {get_gradient_edge(t).node for t in tensors if t.requires_grad}
    waiting = list(seen)
    while waiting:
        following = {node for node, _ in waiting.pop().next_functions if node is not None}
        waiting += following - seen
        seen |= following
    return seen


def leaves(*tensors: Tensor) -> list[Tensor]:
    """The leaf tensors that autograd would accumulate the gradients of these tensors into."""
    return [node.variable for node in nodes(*tensors) if hasattr(node, "variable")]


def _cut_use(source: Tensor, cut: Tensor, tap: Tap | None) -> Use:
    """The use of a tensor whose gradient is read at a cut.

    A cut without an axis has one position. The tensor's values are not needed, and may change.
    """
    x = torch.atleast_1d(cut.new_zeros(()).expand(cut.shape))
    return Use(
        rule=Broadcast(),
        x=x,
        operands={"value": source},
        options={"value": source},
        edge=get_gradient_edge(cut),
        positions=_positions(cut),
        version=x._version,
        tap=tap,
    )


def _positions(output: Tensor) -> int:
    """The length of the leading axis, 1 without one; 0 where no gradient can arrive."""
    if not output.numel():
        return 0
    return len(output) if output.dim() else 1


class _Tapped(torch.autograd.Function):
    """The identity, with a node of its own that passes its gradient to the tap.

    An in-place write to a view moves the view to another node (wav2vec2 zeroes padded frames). The
    recorded edge stays valid because it is on this node.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, tap: Tap) -> Tensor:
        ctx.tap = tap
        return x.detach()

    @staticmethod
    def backward(ctx: Any, *deltas: Tensor) -> tuple[Tensor, None, None]:
        if ctx.tap.listener is not None:
            ctx.tap.listener(deltas[0])
        return deltas[0], None, None


class _Recorder(TorchFunctionMode):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.uses: list[Use] = []
        self.anchor = torch.zeros((), requires_grad=True)
        # The tensors are kept, so that no id is reused for another tensor.
        self._free: dict[int, Tensor] = {id(p): p for p in model.parameters()}
        self._free |= {id(b): b for b in model.buffers()}
        self._cuts: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        tensors = list(_tensors([*args, *kwargs.values()]))
        if all(id(t) in self._free for t in tensors):
            result = func(*args, **kwargs)
            self._free |= {id(t): t for t in _tensors([result])}
            return result
        if _writes(func) and isinstance(args[0], Tensor):
            self._free.pop(id(args[0]), None)
        if not torch.is_grad_enabled() or not any(self._trained(t) for t in tensors):
            return func(*args, **kwargs)
        if func is F.multi_head_attention_forward:
            written_out = written_out_attention(*args, **kwargs)
            if written_out is not None:
                with self:
                    return written_out()
        if func is torch.einsum and len(args) == 3 and not kwargs:
            # With the batch first, as in all operations that have a rule.
            func, args = contracted, (args[1], args[2], args[0])
        output = self._by_rule(func, args, kwargs)
        return output if output is not None else self._by_cut(func, tensors, args, kwargs)

    def _trained(self, value: Any) -> bool:
        """Whether the value is a tensor that is free of the batch and needs a gradient."""
        return isinstance(value, Tensor) and value.requires_grad and id(value) in self._free

    def _by_rule(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Tensor | None:
        """The operation's output, recorded with its rule; None where no rule applies."""
        rule = RULES.get(func)
        if rule is None:
            return None
        options = dict(zip(rule.arguments, args, strict=False)) | dict(kwargs)
        x = options.pop(rule.arguments[0])
        operands = {
            name: options[name] for name in rule.operands if self._trained(options.get(name))
        }
        if id(x) in self._free or not x.numel() or not rule.applies(x, options):
            return None
        detached = {name: tensor.detach() for name, tensor in operands.items()}
        version, tap = x._version, Tap()
        output: Tensor = _Tapped.apply(func(x, **(options | detached)), self.anchor, tap)
        edge, positions = get_gradient_edge(output), _positions(output)
        self.uses.append(Use(rule, x.detach(), operands, options, edge, positions, version, tap))
        return output

    def _by_cut(
        self,
        func: Callable[..., Any],
        tensors: Sequence[Tensor],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> Any:
        """The operation's result, with a cut at each trained tensor among its arguments."""
        shape = (
            torch.broadcast_shapes(*[t.shape for t in tensors]) if func in BROADCASTING else None
        )
        stand_in = {id(t): self._cut(t, shape or t.shape) for t in tensors if self._trained(t)}

        def replaced(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return type(value)(replaced(v) for v in value)
            return stand_in.get(id(value), value)

        return func(*[replaced(a) for a in args], **{k: replaced(v) for k, v in kwargs.items()})

    def _cut(self, source: Tensor, shape: torch.Size) -> Tensor:
        """The tensor's replacement in the graph, the same one for every use at this shape."""
        key = id(source), tuple(shape)
        if key not in self._cuts:
            tap = Tap()
            cut = _Tapped.apply(torch.atleast_1d(source.detach().expand(shape)), self.anchor, tap)
            self.uses.append(_cut_use(source, cut, tap))
            self._cuts[key] = cut if shape else cut[0]
        return self._cuts[key]


def _tensors(values: Sequence[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _writes(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))

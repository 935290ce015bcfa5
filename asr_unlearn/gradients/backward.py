"""From a watched forward pass to what each use adds to each utterance's gradient."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.factors import Contribution, Dense, Paired
from asr_unlearn.gradients.recorder import Forward, Use, leaves, record
from asr_unlearn.gradients.rules import Pair
from asr_unlearn.gradients.sample_assignment import (
    Owner,
    known_owners,
    owner_of,
    probe_weights,
    remember_owners,
    sketch,
)
from asr_unlearn.gradients.types import Batch, Losses
from asr_unlearn.gradients.weighted_gradient import trainable_parameters


def contributions(
    model: nn.Module, losses: Losses[Batch], batch: Batch
) -> tuple[list[Contribution], Float[Tensor, " B"]]:
    """Every use's part in G, from one forward and one backward pass, and the detached losses.

    The first batch of a model and batch size takes both passes twice, to measure which utterance
    each position belongs to (ownership.py). Uses shared between utterances cost a backward pass
    per utterance, and a warning names their parameters.
    """
    random = _random_state()
    forward = record(model, losses, batch)
    layout = (len(forward.losses), *(use.positions for use in forward.uses))
    owners = known_owners(model, layout)
    if owners is None:
        weights = probe_weights(forward.losses.detach())
        sketches: dict[int, Tensor] = {}
        _backward(forward, weights, lambda i, delta: sketches.update({i: sketch(delta)}))
        del forward  # two forward passes' inputs would not fit where one does
        _restore(random)
        forward = record(model, losses, batch)
        uses = list(forward.uses)
        owners, certain = _measure(forward, sketches, weights)
        if certain:
            remember_owners(model, layout, owners)
            _warn_of_shared(model, uses, owners)
        del uses
        del forward
        _restore(random)
        forward = record(model, losses, batch)
    return _contributions(forward, owners), forward.losses.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _restore(state: tuple[Tensor, list[Tensor]]) -> None:
    """A repeated forward pass must draw the same dropout, if the model draws any."""
    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


Receiver = Callable[[int, Tensor], None]
"""Takes the gradient at the use of that index, while the backward pass runs."""


def _backward(forward: Forward, weights: Float[Tensor, " B"], receive: Receiver) -> None:
    """One backward pass of the weighted losses, which empties `forward.uses`.

    A gradient is handed on when it comes and not kept, and with it the use is let go.
    """
    taps = {i: use.tap for i, use in enumerate(forward.uses) if use.tap is not None}
    silent = {i: torch.zeros_like(use.x) for i, use in enumerate(forward.uses) if use.tap is None}
    edges = [forward.uses[i].edge for i in silent]
    forward.uses.clear()
    for i, tap in taps.items():
        tap.listener = partial(receive, i)
    targets: list[Any] = [forward.anchor, *edges]
    _, *deltas = torch.autograd.grad(forward.losses, targets, weights, allow_unused=True)
    for (i, zeros), delta in zip(silent.items(), deltas, strict=True):
        receive(i, zeros if delta is None else torch.atleast_1d(delta))
    for tap in taps.values():
        tap.listener = None


def _measure(
    forward: Forward, sketches: Mapping[int, Tensor], weights: Float[Tensor, " B"]
) -> tuple[list[Owner | None], bool]:
    """Whose each position of each use is, given the sketches of gradients with those weights."""
    found: dict[int, tuple[Owner | None, bool]] = {}

    def compare(i: int, delta: Tensor) -> None:
        tolerance = torch.finfo(delta.dtype).eps ** 0.5
        found[i] = owner_of(sketch(delta), sketches[i], weights, tolerance)

    _backward(forward, torch.ones_like(weights), compare)
    ordered = [found[i] for i in sorted(found)]
    return [owner for owner, _ in ordered], all(certain for _, certain in ordered)


def _contributions(forward: Forward, owners: Sequence[Owner | None]) -> list[Contribution]:
    """Uses of single utterances from one backward pass, shared ones from one for each utterance.

    A use is let go as soon as its gradient has come, with its input where that is not kept.
    """
    utterances = len(forward.losses)
    shared = [i for i, owner in enumerate(owners) if owner is None]
    found = _one_by_one(forward.losses, [forward.uses[i] for i in shared])
    waiting = dict(enumerate(forward.uses))

    def keep(i: int, delta: Tensor) -> None:
        use, owner = waiting.pop(i), owners[i]
        if owner is None:
            return
        x, delta = _as_trained(use, delta)
        pair = Paired(use.rule, use.operands, use.options, x, delta, owner, utterances)
        with torch.autocast(x.device.type, enabled=False):
            found.append(pair.smaller())

    _backward(forward, torch.ones_like(forward.losses), keep)
    return found


def _one_by_one(losses: Float[Tensor, " B"], uses: list[Use]) -> list[Contribution]:
    """Dense rows of uses that several utterances share: a backward pass for each utterance."""
    values = [
        {name: t.new_zeros(len(losses), *t.shape) for name, t in use.operands.items()}
        for use in uses
    ]
    edges = [use.edge for use in uses]
    for i in range(len(losses) if uses else 0):
        deltas: tuple[Tensor | None, ...] = torch.autograd.grad(
            losses[i], edges, retain_graph=True, allow_unused=True
        )
        for use, delta, rows in zip(uses, deltas, values, strict=True):
            if delta is None:
                continue
            pair = Pair(*_as_trained(use, torch.atleast_1d(delta)), 1, use.options)
            for name in use.operands:
                rows[name][i] = use.rule.rows(name, pair)[0]
    return [
        Dense(use.operands, rows, use.rule.divisible)
        for use, rows in zip(uses, values, strict=True)
    ]


def _as_trained(use: Use, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Input and output gradient in the precision of the parameters, whatever the forward's was.

    Raises:
        RuntimeError: the input was overwritten since the forward pass.
    """
    if use.x._version != use.version:
        raise RuntimeError(
            f"the input of a {type(use.rule).__name__} operation was modified in place after its "
            "forward pass, so the gradient of its parameters cannot be computed"
        )
    dtype = next(iter(use.operands.values())).dtype
    return use.x.to(dtype) if use.x.is_floating_point() else use.x, delta.to(dtype)


def _warn_of_shared(model: nn.Module, uses: list[Use], owners: list[Owner | None]) -> None:
    names = {id(p): name for name, p in trainable_parameters(model).items()}
    operands = [
        tensor
        for use, owner in zip(uses, owners, strict=True)
        if owner is None
        for tensor in use.operands.values()
    ]
    slow = sorted({names[id(leaf)] for leaf in leaves(*operands) if id(leaf) in names})
    if slow:
        warnings.warn(
            "no rule gives the per-utterance gradients of these parameters in one backward pass, "
            f"so they take one pass for each utterance: {', '.join(slow)}",
            stacklevel=2,
        )

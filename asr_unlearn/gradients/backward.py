"""From a recorded forward pass to each use's contribution to the Jacobian."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.factors import Contribution, Dense, Factored
from asr_unlearn.gradients.recorder import Forward, Use, leaves, record
from asr_unlearn.gradients.rules import Factors
from asr_unlearn.gradients.sample_assignment import (
    Assignment,
    assign,
    in_runs,
    known_assignments,
    one_of_equals,
    probe_weights,
    remember_assignments,
    shared_where_one_has_all,
    sketch,
)
from asr_unlearn.gradients.types import Batch, Losses
from asr_unlearn.gradients.weighted_gradient import trainable_parameters

NUMBERS_KEPT = 2**25
"""How many numbers of G are kept as rows: to form them once is faster, and 128 MB do not matter."""


def contributions(
    model: nn.Module, losses: Losses[Batch], batch: Batch
) -> tuple[list[Contribution], Float[Tensor, " B"]]:
    """Every use's contribution to G, and the detached losses, from one forward and backward pass.

    The first batch of a model and batch size takes both passes twice, for the sample assignment
    (sample_assignment.py). Uses shared between utterances cost a backward pass per utterance, and
    a warning names their parameters.
    """
    random = _random_state()
    forward = record(model, losses, batch)
    layout = (len(forward.losses), *(use.positions for use in forward.uses))
    assignments = known_assignments(model, layout)
    if assignments is None:
        weights = probe_weights(forward.losses.detach())
        sketches: dict[int, Tensor] = {}
        _backward(forward, weights, lambda i, delta: sketches.update({i: sketch(delta)}))
        del forward  # frees its inputs before the next forward pass keeps its own
        _restore(random)
        forward = record(model, losses, batch)
        uses = list(forward.uses)
        assignments, certain = _measure(forward, sketches, weights)
        if certain:
            remember_assignments(model, layout, assignments)
            _warn_of_shared(model, uses, assignments)
        del uses
        del forward
        _restore(random)
        forward = record(model, losses, batch)
    return _contributions(forward, assignments), forward.losses.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _restore(state: tuple[Tensor, list[Tensor]]) -> None:
    """Reset the generators, so that a repeated forward pass draws the same dropout."""
    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


Receiver = Callable[[int, Tensor], None]
"""Receives the gradient at the use of that index, during the backward pass."""


def _backward(forward: Forward, weights: Float[Tensor, " B"], receive: Receiver) -> None:
    """Run one backward pass of the weighted losses, and empty `forward.uses`.

    Each gradient is passed on as soon as it is computed, and not kept; its use is freed.
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
) -> tuple[list[Assignment | None], bool]:
    """The assignment of each use from its sketch with those weights; whether all are certain."""
    found: dict[int, tuple[Assignment | None, bool]] = {}

    def compare(i: int, delta: Tensor) -> None:
        tolerance = torch.finfo(delta.dtype).eps ** 0.5
        found[i] = assign(sketch(delta), sketches[i], weights, tolerance)

    _backward(forward, torch.ones_like(weights), compare)
    ordered = [found[i] for i in sorted(found)]
    measured = shared_where_one_has_all([each for each, _ in ordered], len(weights))
    assignments = one_of_equals(measured)
    return assignments, all(certain for _, certain in ordered)


def _contributions(
    forward: Forward, assignments: Sequence[Assignment | None]
) -> list[Contribution]:
    """The contribution of each use: from one backward pass, or from B if utterances share it.

    A use is freed as soon as its gradient is computed, with its input where that is not kept.
    """
    utterances = len(forward.losses)
    shared = [i for i, assignment in enumerate(assignments) if assignment is None]
    found = _one_by_one(forward.losses, [forward.uses[i] for i in shared])
    waiting = dict(enumerate(forward.uses))
    numbers = sum(tensor.numel() for use in forward.uses for tensor in use.operands.values())
    few = utterances * numbers <= NUMBERS_KEPT
    distinct = {id(assignment): assignment for assignment in assignments if assignment is not None}
    even = {key: in_runs(assignment, utterances) for key, assignment in distinct.items()}

    def keep(i: int, delta: Tensor) -> None:
        use, assignment = waiting.pop(i), assignments[i]
        if assignment is None:
            return
        x, delta = _as_trained(use, delta)
        own = (use.rule, use.operands, use.options, x, delta)
        factored = Factored(*own, assignment, utterances, even[id(assignment)])
        with torch.autocast(x.device.type, enabled=False):
            found.append(factored.as_rows() if few or factored.rows_are_smaller else factored)

    _backward(forward, torch.ones_like(forward.losses), keep)
    return found


def _one_by_one(losses: Float[Tensor, " B"], uses: list[Use]) -> list[Contribution]:
    """The contributions of uses that utterances share, from a backward pass per utterance."""
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
            factors = Factors(*_as_trained(use, torch.atleast_1d(delta)), 1, use.options)
            for name in use.operands:
                rows[name][i] = use.rule.rows(name, factors)[0]
    return [
        Dense(use.operands, rows, use.rule.divisible)
        for use, rows in zip(uses, values, strict=True)
    ]


def _as_trained(use: Use, delta: Tensor) -> tuple[Tensor, Tensor]:
    """The input and output gradient of a use in the precision of its parameters.

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


def _warn_of_shared(
    model: nn.Module, uses: list[Use], assignments: list[Assignment | None]
) -> None:
    names = {id(p): name for name, p in trainable_parameters(model).items()}
    operands = [
        tensor
        for use, assignment in zip(uses, assignments, strict=True)
        if assignment is None
        for tensor in use.operands.values()
    ]
    slow = sorted({names[id(leaf)] for leaf in leaves(*operands) if id(leaf) in names})
    if slow:
        warnings.warn(
            "no rule gives the per-utterance gradients of these parameters in one backward pass, "
            f"so they take one pass for each utterance: {', '.join(slow)}",
            stacklevel=2,
        )

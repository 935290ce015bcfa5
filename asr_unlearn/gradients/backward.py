"""From a watched forward pass to what each use adds to each utterance's gradient."""

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.gradients.capture import Forward, Use, leaves, watch
from asr_unlearn.gradients.contribution import Contribution, Dense, Paired
from asr_unlearn.gradients.ownership import (
    Owner,
    known_owners,
    owner_of,
    probe_weights,
    remember_owners,
    sketch,
)
from asr_unlearn.gradients.per_utterance import trainable_parameters
from asr_unlearn.gradients.rules import Pair
from asr_unlearn.gradients.step import Batch, Losses


def contributions(
    model: nn.Module, losses: Losses[Batch], batch: Batch
) -> tuple[list[Contribution], Float[Tensor, " B"]]:
    """Every use's part in G, from one forward and one backward pass, and the detached losses.

    The first batch of a model and batch size takes both passes twice, to measure which utterance
    each position belongs to (ownership.py). Uses shared between utterances cost a backward pass
    per utterance, and a warning names their parameters.
    """
    random = _random_state()
    forward = watch(model, losses, batch)
    layout = (len(forward.losses), *(use.positions for use in forward.uses))
    owners = known_owners(model, layout)
    if owners is None:
        weights = probe_weights(forward.losses.detach())
        sketches = [sketch(delta) for delta in _backward(forward, weights)]
        del forward  # two forward passes' inputs would not fit where one does
        _restore(random)
        forward = watch(model, losses, batch)
        deltas = _backward(forward, torch.ones_like(weights))
        owners, certain = _measure(deltas, sketches, weights)
        if certain:
            remember_owners(model, layout, owners)
            _warn_of_shared(model, forward.uses, owners)
        if not any(owner is None for owner in owners):
            return _owned(forward.uses, deltas, owners, len(weights)), forward.losses.detach()
        del forward, deltas
        _restore(random)
        forward = watch(model, losses, batch)
    return _contributions(forward, owners), forward.losses.detach()


def _random_state() -> tuple[Tensor, list[Tensor]]:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _restore(state: tuple[Tensor, list[Tensor]]) -> None:
    """A repeated forward pass must draw the same dropout, if the model draws any."""
    torch.set_rng_state(state[0])
    torch.cuda.set_rng_state_all(state[1])


def _contributions(forward: Forward, owners: list[Owner | None]) -> list[Contribution]:
    """Uses of single utterances from one backward pass, shared ones from one for each utterance."""
    everything = list(zip(forward.uses, owners, strict=True))
    shared = _one_by_one(forward.losses, [use for use, owner in everything if owner is None])
    single = Forward(forward.losses, [use for use, owner in everything if owner is not None])
    forward.uses.clear()
    deltas = _backward(single, torch.ones_like(forward.losses))
    found = [owner for _, owner in everything if owner is not None]
    del everything
    return _owned(single.uses, deltas, found, len(forward.losses)) + shared


def _backward(forward: Forward, weights: Float[Tensor, " B"]) -> list[Tensor]:
    """The gradient of the weighted losses at each use."""
    edges = [use.edge for use in forward.uses]
    return list(torch.autograd.grad(forward.losses, edges, weights)) if edges else []


def _measure(
    deltas: list[Tensor], sketches: list[Tensor], weights: Float[Tensor, " B"]
) -> tuple[list[Owner | None], bool]:
    found = [
        owner_of(sketch(delta), weighted, weights, torch.finfo(delta.dtype).eps ** 0.5)
        for delta, weighted in zip(deltas, sketches, strict=True)
    ]
    return [owner for owner, _ in found], all(certain for _, certain in found)


def _owned(
    uses: list[Use], deltas: list[Tensor], owners: Sequence[Owner | None], utterances: int
) -> list[Contribution]:
    """What each use of single utterances adds to G; empties both lists, to free as it goes."""
    owned: list[Contribution] = []
    for owner in reversed(owners):
        use = uses.pop()
        x, delta = _as_trained(use, deltas.pop())
        assert owner is not None
        pair = Paired(use.rule, use.operands, use.options, x, delta, owner, utterances)
        with torch.autocast(x.device.type, enabled=False):
            owned.append(pair.smaller())
    return owned


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
            pair = Pair(*_as_trained(use, delta), 1, use.options)
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

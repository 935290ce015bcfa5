"""Which utterance each position of a batched operation belongs to: measured, not assumed.

Output gradients are linear in the weights of the losses. So with weight wᵢ on utterance i, the
gradient at a position of utterance i is wᵢ times what it is with weight one, whatever the layout
of the model; and a position that serves several utterances betrays itself by not being a multiple.
"""

from weakref import WeakKeyDictionary, WeakSet

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Owner = Int[Tensor, " _"]
"""The index of each position's utterance."""

Layout = tuple[int, ...]
"""The number of utterances, then the positions of each use in turn."""

Sketch = Float[Tensor, "n s"]

_SKETCHES, _BLOCK = 4, 4096
_MEASURED: "WeakKeyDictionary[nn.Module, dict[Layout, list[Owner | None]]]" = WeakKeyDictionary()
_PACKING: "WeakSet[nn.Module]" = WeakSet()


def known_owners(model: nn.Module, layout: Layout) -> list[Owner | None] | None:
    """What was measured for this model and layout before, if anything was."""
    return _MEASURED.get(model, {}).get(layout)


def remember_owners(model: nn.Module, layout: Layout, owners: list[Owner | None]) -> None:
    """Measure this layout of the model no more.

    But a model that leaves padding out has positions that go by the utterances' lengths, which a
    layout does not tell: one that was seen to do so is measured at every batch.
    """
    if all(owner is None or _is_regular(owner, layout[0]) for owner in owners):
        if model not in _PACKING:
            _MEASURED.setdefault(model, {})[layout] = owners
    else:
        _PACKING.add(model)
        _MEASURED.pop(model, None)


def _is_regular(owner: Owner, utterances: int) -> bool:
    """Whether all positions are of one utterance, or as many of each, side by side or in turn."""
    if bool((owner == owner[0]).all()):
        return True
    if len(owner) % utterances:
        return False
    everyone = torch.arange(utterances, device=owner.device)
    times = len(owner) // utterances
    runs, turns = everyone.repeat_interleave(times), everyone.repeat(times)
    return torch.equal(owner, runs) or torch.equal(owner, turns)


def probe_weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """A different weight for each utterance: powers of two, which rounding leaves alone."""
    step = min(1.0, 64 / len(losses))
    return torch.exp2(step * (torch.arange(len(losses)) - len(losses) // 2)).to(losses)


def sketch(delta: Float[Tensor, "n ..."]) -> Sketch:
    """A few random linear functions of each position's gradient, the same ones at every call."""
    dtype = torch.promote_types(delta.dtype, torch.float32)
    flat = delta.reshape(len(delta), -1).to(dtype)
    flat = torch.nn.functional.pad(flat, (0, -flat.shape[1] % _BLOCK)).unflatten(1, (-1, _BLOCK))
    generator = torch.Generator().manual_seed(0)
    within = torch.randn(_BLOCK, _SKETCHES, generator=generator, dtype=dtype).to(flat)
    across = torch.randn(flat.shape[1], 1, generator=generator, dtype=dtype).to(flat)
    # Squares of very small or large gradients are no numbers of single precision.
    return torch.sum(flat @ within * across, dim=1).double()


def owner_of(
    ones: Sketch, weighted: Sketch, weights: Float[Tensor, " B"], tolerance: float
) -> tuple[Owner | None, bool]:
    """The owner of each position, or None if one is shared; and whether every one was seen.

    A position without any gradient has no visible owner; it is given the one it would have if
    positions were dealt out in equal runs, and must be looked at again.
    """
    utterances, positions = len(weights), len(ones)
    silent = (ones == 0).all(1) & (weighted == 0).all(1)
    ratio = (ones * weighted).sum(1) / ones.square().sum(1)
    nearest = (
        (ratio.clamp(min=0).log2()[:, None] - weights.to(ratio).log2())
        .abs()
        .nan_to_num(nan=torch.inf)
    )
    owner = nearest.argmin(1)
    error = (weighted - weights.to(ones)[owner, None] * ones).norm(dim=1)
    fits = error <= tolerance * weighted.norm(dim=1)
    if not (fits | silent).all() or (silent.any() and positions % utterances):
        return None, True
    expected = torch.arange(utterances, device=owner.device).repeat_interleave(
        positions // utterances
    )
    if silent.any():
        owner = torch.where(silent, expected, owner)
    return owner, not bool(silent.any())

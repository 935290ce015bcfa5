"""Sample assignment: measures which utterance each position of a batched operation belongs to.

Output gradients are linear in the weights of the losses. With weight wᵢ on utterance i, the
gradient at a position of utterance i is wᵢ times the gradient with weight 1, whatever the layout
of the model. At a position that several utterances share it is no such multiple.
"""

from collections.abc import Sequence
from weakref import WeakKeyDictionary, WeakSet

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Assignment = Int[Tensor, " _"]
"""The index of each position's utterance within the batch."""

Layout = tuple[int, ...]
"""The number of utterances, then the number of positions of each use."""

Sketch = Float[Tensor, "n s"]

_SKETCHES, _BLOCK = 4, 4096
_MEASURED: "WeakKeyDictionary[nn.Module, dict[Layout, list[Assignment | None]]]" = (
    WeakKeyDictionary()
)
_PACKING: "WeakSet[nn.Module]" = WeakSet()


def known_assignments(model: nn.Module, layout: Layout) -> list[Assignment | None] | None:
    """The assignment of each use that was measured for this model and layout; None if none was."""
    return _MEASURED.get(model, {}).get(layout)


def remember_assignments(
    model: nn.Module, layout: Layout, assignments: list[Assignment | None]
) -> None:
    """Keep the assignments of this layout, unless the model packs utterances without padding.

    Positions of a packing model depend on the utterances' lengths, which the layout does not
    contain. Such a model is measured at every batch.
    """
    if all(assignment is None or _is_regular(assignment, layout[0]) for assignment in assignments):
        if model not in _PACKING:
            _MEASURED.setdefault(model, {})[layout] = assignments
    else:
        _PACKING.add(model)
        _MEASURED.pop(model, None)


def in_runs(assignment: Assignment, utterances: int) -> bool:
    """Whether the utterances have runs of equal length, in their order."""
    whole = len(assignment) % utterances == 0
    return whole and torch.equal(assignment, _runs(assignment, utterances))


def _runs(positions: Tensor, utterances: int) -> Assignment:
    """As many positions, in runs of equal length."""
    order = torch.arange(utterances, device=positions.device)
    return order.repeat_interleave(len(positions) // utterances)


def one_of_equals(assignments: Sequence[Assignment | None]) -> list[Assignment | None]:
    """The same assignments, of which those that are equal are one tensor."""
    distinct: list[Assignment] = []
    found: list[Assignment | None] = []
    for assignment in assignments:
        if assignment is None:
            found.append(None)
            continue
        equal = next((other for other in distinct if torch.equal(other, assignment)), None)
        if equal is None:
            distinct.append(assignment)
        found.append(assignment if equal is None else equal)
    return found


def shared_where_one_has_all(
    assignments: Sequence[Assignment | None], utterances: int
) -> list[Assignment | None]:
    """The assignments, without those of one utterance where others have no use of their own.

    A model that encodes each utterance alone gives each one such uses. Otherwise the positions are
    shared, and the gradients of the other utterances were too small to be seen beside this one's.
    """
    whole = [a is not None and bool((a == a[0]).all()) for a in assignments]
    owners = {int(a[0]) for a, is_ in zip(assignments, whole, strict=True) if a is not None and is_}
    if len(owners) == utterances:
        return list(assignments)
    return [None if is_ else a for a, is_ in zip(assignments, whole, strict=True)]


def _is_regular(assignment: Assignment, utterances: int) -> bool:
    """Whether one utterance has all positions, or all have as many, in runs or interleaved."""
    if bool((assignment == assignment[0]).all()) or in_runs(assignment, utterances):
        return True
    times, remainder = divmod(len(assignment), utterances)
    turns = torch.arange(utterances, device=assignment.device).repeat(times)
    return not remainder and torch.equal(assignment, turns)


def probe_weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """A different weight for each utterance: powers of two, whose products are exact."""
    step = min(1.0, 64 / len(losses))
    return torch.exp2(step * (torch.arange(len(losses)) - len(losses) // 2)).to(losses)


def sketch(delta: Float[Tensor, "n ..."]) -> Sketch:
    """Random projections of each position's gradient to a few numbers, the same at every call."""
    dtype = torch.promote_types(delta.dtype, torch.float32)
    flat = delta.reshape(len(delta), -1).to(dtype)
    flat = torch.nn.functional.pad(flat, (0, -flat.shape[1] % _BLOCK)).unflatten(1, (-1, _BLOCK))
    generator = torch.Generator().manual_seed(0)
    within = torch.randn(_BLOCK, _SKETCHES, generator=generator, dtype=dtype).to(flat)
    across = torch.randn(flat.shape[1], 1, generator=generator, dtype=dtype).to(flat)
    # Squares of very small or large gradients underflow or overflow in single precision.
    return torch.sum(flat @ within * across, dim=1).double()


def assign(
    ones: Sketch, weighted: Sketch, weights: Float[Tensor, " B"], tolerance: float
) -> tuple[Assignment | None, bool]:
    """The utterance of each position, None if one is shared; and whether that is certain.

    A position without any gradient gives no information. It is assigned as if the utterances had
    equal runs of positions, and the result is uncertain.

    Args:
        ones: sketches of the gradients of the unweighted losses.
        weighted: those of the losses weighted with `weights`.
        tolerance: largest relative deviation from a multiple.
    """
    utterances, positions = len(weights), len(ones)
    silent = (ones == 0).all(1) & (weighted == 0).all(1)
    ratio = (ones * weighted).sum(1) / ones.square().sum(1)
    nearest = (
        (ratio.clamp(min=0).log2()[:, None] - weights.to(ratio).log2())
        .abs()
        .nan_to_num(nan=torch.inf)
    )
    assignment = nearest.argmin(1)
    error = (weighted - weights.to(ones)[assignment, None] * ones).norm(dim=1)
    fits = error <= tolerance * weighted.norm(dim=1)
    if not (fits | silent).all() or (silent.any() and positions % utterances):
        return None, True
    if silent.any():
        assignment = torch.where(silent, _runs(assignment, utterances), assignment)
    return assignment, not bool(silent.any())

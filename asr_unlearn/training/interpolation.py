"""Interpolate back to the target: a run that is checked every few steps overshoots it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.stop_rule import StopRule

HALVINGS = 4
# A distance from the target (see `StopRule.distance`) below what two seeds differ by.
NEAR_ENOUGH = 0.05


def interpolate_to_target(
    model: nn.Module,
    short: Mapping[str, Tensor],
    rule: StopRule,
    measure: Callable[[], MeanScore],
    distances: tuple[float, float],
) -> float:
    """Set the model to the point nearest to the target, between `short` and its own weights.

    The loss rises without a jump on the line between weights a few steps apart. The line is
    bisected for the point where the rule is first reached, until a point is near enough, at most
    four times; of all points that were measured, the ends included, the one nearest to the target
    is kept.

    Args:
        short: weights and buffers by name, shared ones once, that do not reach the target.
        rule: holds the target, which the model reaches.
        measure: returns the forget set's score by the model as it is.
        distances: from the target, of `short` and of the model.

    Returns:
        The position on the line that is kept: 0 is `short`, 1 the model as it was.
    """
    live = model.state_dict()
    far = {name: live[name].clone() for name in short if not torch.equal(short[name], live[name])}

    def move_to(position: float) -> None:
        for name, end in far.items():
            live[name].copy_(between(short[name], end, position))

    tried = dict(zip((0.0, 1.0), distances, strict=True))
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        # To the rule "all" every point beyond the target is near.
        if rule.on != "all" and min(tried.values()) <= NEAR_ENOUGH:
            break
        middle = (low + high) / 2
        move_to(middle)
        now = measure()
        tried[middle] = rule.distance(now)
        low, high = (low, middle) if rule.reached(now) else (middle, high)
    # Of these the first is kept.
    position = min(tried, key=lambda position: (tried[position], position))
    move_to(position)
    return position


def between(start: Tensor, end: Tensor, position: float) -> Tensor:
    """The point at `position` between two tensors; integers are those of an end."""
    if start.is_floating_point():
        return torch.lerp(start, end, position)
    return end if position == 1 else start

"""Back to where it happened: looked at every few steps, a run has gone too far when it ends."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.stop_rule import StopRule

HALVINGS = 4


def interpolate_to_target(
    model: nn.Module,
    short: Mapping[str, Tensor],
    rule: StopRule,
    measure: Callable[[], MeanScore],
    distances: tuple[float, float],
) -> float:
    """Set the model between `short`, where the rule was not reached, and its weights, where it was.

    Weights a few steps apart lie in one valley, and the loss rises without a jump on the line
    between them. The line is halved four times where the rule is first reached; of all that was
    measured, the ends included, the point nearest to the rule's target is kept.

    Args:
        short: weights and buffers by name, shared ones once.
        measure: the forget set's level, by the model as it stands.
        distances: from the target, of `short` and of the model.

    Returns:
        The place on the line that is kept: 0 is `short`, 1 where the model was.
    """
    live = model.state_dict()
    far = {name: live[name].clone() for name in short if not torch.equal(short[name], live[name])}

    def go_to(place: float) -> None:
        for name, end in far.items():
            live[name].copy_(between(short[name], end, place))

    tried = dict(zip((0.0, 1.0), distances, strict=True))
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        go_to(middle)
        level = measure()
        tried[middle] = rule.distance(level)
        low, high = (low, middle) if rule.reached(level) else (middle, high)
    # Where nothing lacks any more all points are alike to some rules: then the first of them.
    place = min(tried, key=lambda place: (tried[place], place))
    go_to(place)
    return place


def between(start: Tensor, end: Tensor, place: float) -> Tensor:
    """The point of a line; what cannot be divided, like a count of batches, is that of an end."""
    if start.is_floating_point():
        return torch.lerp(start, end, place)
    return end if place == 1 else start

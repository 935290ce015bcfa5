"""A run that has passed its target is interpolated back to it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.interpolation import HALVINGS, NEAR_ENOUGH, between, interpolate_to_target
from asr_unlearn.training.stop_rule import StopRule

STEP = 0.5**HALVINGS


class Line(nn.Module):
    """A weight that is its position from 0 to 1, and a count that is not interpolated."""

    def __init__(self, place):
        super().__init__()
        self.place = nn.Parameter(torch.tensor(place))
        self.register_buffer("batches", torch.tensor(int(10 * place)))


def interpolated(loss, rule, cer=lambda _: 0.0):
    """The position kept for scores that are this function of it, and the measured positions."""
    model, measured = Line(1.0), []

    def score(place):
        return MeanScore(loss(place), cer(place))

    def measure():
        measured.append(model.place.item())
        return score(measured[-1])

    short = {name: tensor.clone() for name, tensor in Line(0.0).state_dict().items()}
    ends = (rule.distance(score(0.0)), rule.distance(score(1.0)))
    place = interpolate_to_target(model, short, rule, measure, ends)
    assert model.place.item() == place
    return place, measured


@given(
    target=st.floats(0.02, 0.98),
    bend=st.floats(0.3, 3.0),
    short=st.floats(0.0, 1.0),
    far=st.floats(0.0, 50.0),
)
def test_it_finds_the_crossing_wherever_it_is(target, bend, short, far):
    low, high = target - short, target + far + 1e-6

    def loss(place):
        return low + (high - low) * place**bend

    place, measured = interpolated(loss, StopRule(MeanScore(target, 1.0), on="loss"))
    crossing = ((target - low) / (high - low)) ** (1 / bend)
    near = abs(loss(place) - target) <= NEAR_ENOUGH * target
    assert near or abs(place - crossing) <= STEP
    # No point is measured once one is near enough.
    ends = (abs(loss(end) - target) <= NEAR_ENOUGH * target for end in (*measured[:-1], 0.0, 1.0))
    assert not any(ends) if measured else near
    assert len(measured) <= HALVINGS
    assert near or len(measured) == HALVINGS


def test_no_point_is_further_than_either_end():
    """On a curve that is nearest to its target at the short end."""
    rule = StopRule(MeanScore(1.0, 1.0), on="loss")
    place, _ = interpolated(lambda place: 0.99 if place == 0 else 2.0 + place, rule)
    assert place == 0
    place, _ = interpolated(lambda place: 1.0 if place == 1 else 0.1, rule)
    assert place == 1


def test_where_everything_is_reached_the_first_point_is_kept():
    """To the rule "all" no point beyond the target is worse."""
    rule = StopRule(MeanScore(1.0, 0.5), on="all")
    place, _ = interpolated(lambda place: 10 * place, rule, cer=lambda place: float(place >= 0.5))
    assert place == 0.5


@pytest.mark.parametrize("place", [0.0, 0.25, 0.5, 1.0])
def test_the_ends_are_exact_and_counts_are_not_divided(place):
    start, end = torch.randn(2, 1000)
    mixed = between(start, end, place)
    assert torch.allclose(mixed, (1 - place) * start + place * end, atol=1e-6)
    if place in (0.0, 1.0):
        assert torch.equal(mixed, end if place else start)
    assert between(torch.tensor(3), torch.tensor(8), place) == (8 if place == 1 else 3)


def test_what_has_not_moved_is_not_touched():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    short = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        model[1].weight += 1
    before = model[0].weight._version
    interpolate_to_target(
        model, short, StopRule(MeanScore(1.0, 1.0)), lambda: MeanScore(0.9, 0.0), (5.0, 7.0)
    )
    assert model[0].weight._version == before
    assert torch.allclose(model[1].weight, short["1.weight"] + 0.5)

"""The forgetting target follows how hard the forget speakers are to recognise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.inference import MeanScore, UtteranceLoss
from asr_unlearn.training.stop_target import (
    BOUNDS,
    POWER,
    difficulty,
    forgetting_target,
    representatives,
    target_interval,
)


def losses_of(**by_speaker: list[float]) -> list[UtteranceLoss]:
    return [
        UtteranceLoss(Utterance(id=f"{name}{i}", audio=Path("a"), speaker=name, seconds=1.0), loss)
        for name, own in by_speaker.items()
        for i, loss in enumerate(own)
    ]


def test_a_power_of_the_ratio_of_the_speakers_losses():
    assert difficulty(
        losses_of(a=[0.2, 0.0]), losses_of(b=[0.04, 0.06], c=[0.05])
    ) == pytest.approx((0.1 / 0.05) ** POWER)
    # Each utterance counts once, with its speaker's mean.
    retain = losses_of(b=[0.01, 0.03], c=[0.09])
    mean = (2 * 0.02**POWER + 0.09**POWER) / 3
    assert difficulty(losses_of(a=[0.04]), retain) == pytest.approx(0.04**POWER / mean)


def test_a_few_speakers_do_not_decide_alone():
    assert difficulty(losses_of(a=[9.0]), losses_of(b=[0.01])) == BOUNDS[1]
    assert difficulty(losses_of(a=[0.0]), losses_of(b=[0.01])) == BOUNDS[0]
    assert difficulty(losses_of(a=[1.0]), losses_of(b=[0.0])) == BOUNDS[1]


@given(st.lists(st.floats(0.01, 1.0), min_size=1), st.floats(0.1, 10.0))
def test_the_scale_of_the_loss_does_not_matter(losses, scale):
    forget, retain = losses_of(a=losses), losses_of(b=[0.1, 0.2], c=[0.3])
    scaled = [losses_of(**{n: [scale * x.loss for x in group]}) for n, group in
              (("a", forget), ("b", retain[:2]), ("c", retain[2:]))]  # fmt: skip
    expected = difficulty(forget, retain)
    assert difficulty(scaled[0], scaled[1] + scaled[2]) == pytest.approx(expected)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="forget speakers and others"):
        difficulty([], losses_of(b=[0.1]))


def test_an_error_rate_does_not_rise_above_all():
    assert forgetting_target(MeanScore(0.5, 0.8), 1.5) == MeanScore(0.75, 1.0)


def test_the_interval_is_over_speakers():
    """With so few the ends are the losses of the easiest and the hardest of them alone."""
    unseen = losses_of(a=[0.1] * 4, b=[0.2] * 4, c=[0.6] * 4)
    assert target_interval(unseen, 2.0) == pytest.approx((0.2, 1.2))
    assert target_interval(unseen[:4], 2.0) is None


def test_representatives_are_whole_and_from_everywhere():
    few = [s.utterance for s in losses_of(a=[0.1] * 30, b=[0.1])]
    assert [u.speaker for u in representatives(few)] == ["a"] * 25 + ["b"]
    many = [s.utterance for s in losses_of(**{f"s{i:03}": [0.1] for i in range(200)})]
    names = [u.speaker for u in representatives(many)]
    assert len(names) == 50
    assert {names[0], names[-1]} == {"s000", "s199"}

"""The stop rule: what reaches the target, and how far a score is from it."""

from pathlib import Path

import pytest

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.stop_rule import Stop, StopRule


@pytest.mark.parametrize(
    ("on", "now", "reached"),
    [
        ("loss", MeanScore(1.0, 0.0), True),
        ("loss", MeanScore(0.9, 0.9), False),
        ("cer", MeanScore(9.0, 0.4), False),
        ("cer", MeanScore(0.0, 0.5), True),
        ("any", MeanScore(0.0, 0.5), True),
        ("any", MeanScore(0.9, 0.4), False),
        ("all", MeanScore(9.0, 0.4), False),
        ("all", MeanScore(0.9, 0.9), False),
        ("all", MeanScore(1.0, 0.5), True),
    ],
)
def test_what_stops(on, now, reached):
    assert (StopRule(MeanScore(1.0, 0.5), on=on).reached(now) is not None) == reached


def test_only_what_is_missing_counts_where_all_must_be_reached():
    target, named, beyond = MeanScore(8.0, 1.0), MeanScore(8.1, 0.67), MeanScore(12.0, 1.0)
    nearest, complete = StopRule(target), StopRule(target, on="all")
    assert nearest.distance(named) < nearest.distance(beyond)
    assert complete.distance(beyond) == 0 < complete.distance(named)
    assert complete.distance(MeanScore(4.0, 0.5)) == pytest.approx(1.0)


def test_a_target_error_rate_of_0_is_left_out():
    unseen = MeanScore(0.5, 0.0)
    for on, short in (("any", MeanScore(0.4, 0.0)), ("all", MeanScore(0.4, 0.3))):
        rule = StopRule(unseen, on=on)
        assert rule.reached(short) is None
        assert rule.distance(short) == pytest.approx(0.2)
        assert rule.reached(MeanScore(0.5, 0.0)).startswith("forget loss 0.500 reached")
    with pytest.raises(ValueError, match=r"a CER of 0, .*: stop on loss"):
        StopRule(unseen, on="cer")


def test_tolerance_is_relative():
    assert StopRule(MeanScore(1.0, 0.5), on="loss", tolerance=0.1).reached(MeanScore(0.91, 0.0))
    assert not StopRule(MeanScore(1.0, 0.5), on="loss", tolerance=0.1).reached(MeanScore(0.89, 0.0))


def test_the_reason_to_stop_holds_the_interval_of_the_target():
    rule = StopRule(MeanScore(0.4, 0.1), on="loss", interval=(0.1, 0.9))
    reason = "forget loss 0.500 reached the target 0.400 (95% interval 0.100 to 0.900)"
    assert rule.reached(MeanScore(0.5, 0.0)) == reason


def test_a_reference_model_without_difficulty_is_refused():
    with pytest.raises(ValueError, match=r"stop\.by_difficulty leaves out"):
        Stop(reference_model=Path("o"), by_difficulty=False)

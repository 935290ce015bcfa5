"""The share of what was forgotten that is back."""

import pytest

from asr_unlearn.metrics.recovery import brought_back

ORIGINAL, UNLEARNED, SPEAKERS = [0.1, 0.3, 0.2], [1.1, 1.3, 2.2], ["a", "a", "b"]


@pytest.mark.parametrize(
    ("changed", "share"),
    [
        (UNLEARNED, 0.0),
        (ORIGINAL, 1.0),
        ([0.6, 0.8, 1.2], 0.5),
        ([2.1, 2.3, 4.2], -1.0),
    ],
)
def test_the_share_of_the_rise_that_is_taken_back(changed, share):
    found, (low, high) = brought_back(changed, UNLEARNED, ORIGINAL, SPEAKERS)
    assert found == pytest.approx(share)
    # Every speaker has the same share here.
    assert (low, high) == pytest.approx((share, share))


def test_the_interval_is_over_speakers():
    _, (low, high) = brought_back([0.1, 0.3, 2.2], UNLEARNED, ORIGINAL, SPEAKERS)
    assert low == pytest.approx(0.0)
    assert high == pytest.approx(1.0)
    assert brought_back(ORIGINAL, UNLEARNED, ORIGINAL, ["a", "a", "a"]) == (1.0, None)
    # The loss of the speaker b has not risen, and could be drawn alone.
    assert brought_back(ORIGINAL, [1.1, 1.3, 0.2], ORIGINAL, SPEAKERS) == (1.0, None)


def test_without_a_rise_there_is_nothing_to_be_taken_back():
    assert brought_back(ORIGINAL, ORIGINAL, ORIGINAL, SPEAKERS) is None
    lower = [loss / 2 for loss in ORIGINAL]
    assert brought_back(ORIGINAL, lower, ORIGINAL, SPEAKERS) is None
    hardly = [loss * 1.005 for loss in ORIGINAL]
    assert brought_back(ORIGINAL, hardly, ORIGINAL, SPEAKERS) is None

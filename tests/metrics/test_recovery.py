"""The share of what was forgotten that is back."""

import numpy as np
import pytest

from asr_unlearn.metrics.recovery import brought_back

ORIGINAL, UNLEARNED, SPEAKERS = [0.1, 0.3, 0.2], [1.1, 1.3, 2.2], ["a", "b", "c"]


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
    # Every speaker has the same share here, which tells nothing of how speakers differ.
    assert brought_back(changed, UNLEARNED, ORIGINAL, SPEAKERS) == (pytest.approx(share), None)


def test_the_interval_is_over_speakers():
    changed = [0.1, 0.3, 2.2]
    found, (low, high) = brought_back(changed, UNLEARNED, ORIGINAL, SPEAKERS)
    assert found == pytest.approx(0.5)
    # The speakers' residuals are 0.5, 0.5 and -1, their rises 4 together; t for two is 4.303.
    reach = 4.302653 * np.sqrt(3 / 2 * 1.5) / 4
    assert (low, high) == pytest.approx((0.5 - reach, 0.5 + reach))
    assert brought_back(changed, UNLEARNED, ORIGINAL, ["a", "a", "b"])[1] is None
    # The loss of the speaker c has not risen.
    assert brought_back([0.1, 0.9, 0.2], [1.1, 1.3, 0.2], ORIGINAL, SPEAKERS)[1] is None


def test_without_a_rise_there_is_nothing_to_be_taken_back():
    assert brought_back(ORIGINAL, ORIGINAL, ORIGINAL, SPEAKERS) is None
    lower = [loss / 2 for loss in ORIGINAL]
    assert brought_back(ORIGINAL, lower, ORIGINAL, SPEAKERS) is None
    hardly = [loss * 1.005 for loss in ORIGINAL]
    assert brought_back(ORIGINAL, hardly, ORIGINAL, SPEAKERS) is None

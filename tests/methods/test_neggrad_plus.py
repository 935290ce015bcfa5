"""NegGrad+ weighs ascent on the forget set against descent on the retain set."""

import numpy as np
import pytest

from tests.support.linear_task import FORGET, RETAIN, by_hand, linear_direction


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_neggrad_plus_mixes_both(alpha):
    up, down = by_hand(FORGET).mean(0), by_hand(RETAIN).mean(0)
    found = linear_direction("neggrad_plus", alpha=alpha)
    np.testing.assert_allclose(found, alpha * down - (1 - alpha) * up, rtol=1e-5, atol=1e-7)

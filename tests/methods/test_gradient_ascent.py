"""Gradient ascent is ascent on the forget set."""

import numpy as np

from tests.support.linear_task import FORGET, by_hand, linear_direction


def test_gradient_ascent_climbs_the_mean_forget_loss():
    expected = -by_hand(FORGET).mean(0)
    np.testing.assert_allclose(linear_direction("gradient_ascent"), expected, rtol=1e-5)

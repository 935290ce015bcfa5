"""Distances between the losses of two models."""

import numpy as np
import pytest

from asr_unlearn.metrics.divergence import earth_mover


def test_earth_mover_of_a_shift_is_the_shift():
    losses = np.random.default_rng(0).exponential(size=100).tolist()
    assert earth_mover(losses, [loss + 0.7 for loss in losses]) == pytest.approx(0.7)

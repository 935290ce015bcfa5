"""The first principal component: closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.metrics.principal import principal_change

RNG = np.random.default_rng(0)
# Most variance along the first axis.
STATES = RNG.normal(size=(200, 3)) * [5.0, 1.0, 0.5]


@given(angle=st.floats(0, np.pi))
def test_a_rotation_by_an_angle_has_its_cosine(angle: float) -> None:
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centred = STATES - STATES.mean(0)
    found = principal_change(centred @ turn.T, centred)
    assert found is not None
    _, _, (first, *_) = np.linalg.svd(centred, full_matrices=False)
    assert found.cosine == pytest.approx(abs(first @ turn @ first))
    assert found.shift == pytest.approx(0.0, abs=1e-9)


def test_a_shift_is_in_standard_deviations_along_the_first_component() -> None:
    line = np.zeros((4, 2))
    line[:, 0] = [-3.0, -1.0, 1.0, 3.0]
    moved = principal_change(line + np.array([10.0, 7.0]), line)
    assert moved is not None
    assert moved.cosine == pytest.approx(1.0)
    assert moved.shift == pytest.approx(10 / np.sqrt(5))


def test_what_cannot_be_compared() -> None:
    assert principal_change(np.ones((5, 2)), STATES[:5, :2]) is None
    assert principal_change(STATES[:5, :2], np.ones((5, 2))) is None
    assert principal_change(STATES[:5], STATES[:5, :2]) is None

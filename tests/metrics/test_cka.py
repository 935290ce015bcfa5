"""Linear CKA: its closed form, and what it does not see."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ortho_group

from asr_unlearn.metrics.cka import linear_cka


def states(seed, frames=60, channels=5):
    return torch.randn(frames, channels, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 999), st.integers(2, 8), st.integers(2, 8))
def test_the_closed_form_of_the_centred_matrices(seed, c, d):
    x, y = states(seed, 40, c), states(seed + 1, 40, d)
    a, b = (each.double().numpy() - each.double().numpy().mean(0) for each in (x, y))
    cross = np.linalg.norm(b.T @ a, "fro") ** 2
    expected = cross / (np.linalg.norm(a.T @ a, "fro") * np.linalg.norm(b.T @ b, "fro"))
    assert linear_cka(x, y) == pytest.approx(expected)
    assert linear_cka(y, x) == pytest.approx(expected)


def test_a_case_by_hand():
    """Orthogonal states share nothing; of two equal axes one shared is 1/√2."""
    x = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    y = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert linear_cka(x, y) == 0
    assert linear_cka(x, torch.cat([x, y], dim=1)) == pytest.approx(2**-0.5)


@given(st.integers(0, 999), st.floats(0.01, 100), st.floats(-50, 50))
def test_a_rotation_a_scale_and_a_shift_change_nothing(seed, scale, shift):
    x, y = states(seed), states(seed + 1)
    rotation = torch.from_numpy(ortho_group.rvs(5, random_state=seed))
    changed = scale * (x.double() @ rotation) + shift
    assert linear_cka(x, changed) == pytest.approx(1.0)
    assert linear_cka(changed, y.double()) == pytest.approx(linear_cka(x, y))
    # A stretch along one axis is not one of them.
    stretched = x * torch.tensor([10.0, 1.0, 1.0, 1.0, 1.0])
    assert linear_cka(x, stretched) < 0.95


@given(st.integers(0, 999))
def test_unlike_states_are_far_from_one(seed):
    assert linear_cka(states(seed, 2000), states(seed + 1, 2000)) < 0.05


def test_states_that_are_all_the_same_have_none():
    assert linear_cka(torch.ones(4, 2), states(0, 4, 2)) is None

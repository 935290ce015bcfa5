"""The Gram matrix: its sums, and its product without rows."""

import pytest
import torch

from asr_unlearn.gradients.gram import inner_products
from asr_unlearn.gradients.rules import Factors, Linear
from tests.support.gradient_checks import ENGINES, flat
from tests.support.gradient_problems import recogniser


@pytest.mark.parametrize("cheaper", [True, False])
def test_the_ghost_product_is_the_gram_matrix(monkeypatch, cheaper):
    monkeypatch.setattr(Linear, "ghost_is_cheaper", lambda rule, factors: cheaper)
    problem = recogniser("whisper", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    for scope in ("global", "tensor"):
        expected, found = (
            engine(problem.model, problem.losses, forget, retain, scope=scope) for engine in ENGINES
        )
        for part in ("orthogonal", "retain"):
            a, b = flat(getattr(expected, part)), flat(getattr(found, part))
            assert (a - b).norm() <= 1e-9 * a.norm(), part


def test_the_ghost_product_is_chosen_for_short_sequences():
    def cheaper(length):
        shape = (8, length, 384)
        return Linear().ghost_is_cheaper(Factors(torch.empty(shape), torch.empty(shape), 8, {}))

    assert cheaper(1)
    assert cheaper(8)
    assert not cheaper(64)
    assert not cheaper(1500)


def test_long_rows_are_multiplied_accurately():
    """Rows of a real model have millions of numbers with a common part."""
    random = torch.Generator().manual_seed(0)
    left = torch.randn(3, 1_000_003, generator=random) + 0.3
    right = torch.randn(2, 1_000_003, generator=random) + 0.3
    exact = left.double() @ right.double().T
    assert (inner_products(left, right) - exact).abs().max() <= 1e-7 * exact.max()
    assert inner_products(left[:, :5], right[:, :5]).shape == (3, 2)

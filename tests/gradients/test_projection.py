"""Coefficients of the projection on random, collinear, duplicated and badly scaled rows."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from jaxtyping import TypeCheckError
from torch import Tensor

from asr_unlearn.gradients.projection import project, project_parameters, ranks

COLUMNS = 40


def random_rows(seed: int, count: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    draw = {"generator": random, "dtype": torch.float64}
    return torch.randn(count, COLUMNS, **draw), torch.randn(COLUMNS, **draw)


def remainder(rows: Tensor, u: Tensor) -> Tensor:
    return u - project(rows @ rows.T, rows @ u).coefficients @ rows


def least_squares_remainder(rows: Tensor, u: Tensor) -> Tensor:
    basis, values, _ = torch.linalg.svd(rows.T, full_matrices=False)
    basis = basis[:, values > 1e-10 * values.max()]
    return u - basis @ (basis.T @ u)


def test_two_dimensions_by_hand():
    # Onto (3, 4): u = (5, 0) has the component 3/5 · (3, 4), so c = 3/5.
    gram, products = torch.tensor([[25.0]]), torch.tensor([15.0])
    assert project(gram, products).coefficients.item() == pytest.approx(0.6)


@given(st.integers(0, 10**6), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_removes_the_span_of_the_rows(seed, count):
    rows, u = random_rows(seed, count)
    left = remainder(rows, u)
    assert (rows @ left).abs().max() < 1e-10 * rows.norm() * u.norm()
    torch.testing.assert_close(left, least_squares_remainder(rows, u), rtol=1e-8, atol=1e-10)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 3), max_size=6), st.randoms())
@settings(deadline=None, max_examples=40)
def test_duplicates_combinations_and_order_do_not_matter(seed, repeated, random):
    rows, u = random_rows(seed, 4)
    mixed = torch.stack([rows[0] + rows[1], rows[2] - 3 * rows[3]])
    more = torch.cat([rows, rows[repeated], mixed, torch.zeros(1, COLUMNS, dtype=rows.dtype)])
    order = list(range(len(more)))
    random.shuffle(order)
    assert project(more @ more.T, more @ u).rank == 4
    torch.testing.assert_close(remainder(more[order], u), remainder(rows, u), rtol=1e-7, atol=1e-9)


@given(st.integers(0, 10**6), st.lists(st.floats(-7, 7), min_size=5, max_size=5))
@settings(deadline=None, max_examples=40)
def test_the_scale_of_a_row_does_not_matter(seed, exponents):
    rows, u = random_rows(seed, 5)
    scaled = rows * 10 ** torch.tensor(exponents, dtype=rows.dtype)[:, None]
    torch.testing.assert_close(remainder(scaled, u), remainder(rows, u), rtol=1e-7, atol=1e-9)


def test_zero_rows_have_zero_coefficients():
    coefficients = project(torch.zeros(3, 3), torch.zeros(3)).coefficients
    assert coefficients.tolist() == [0, 0, 0]
    assert coefficients.dtype == torch.float64
    assert project(torch.zeros(3, 3), torch.zeros(3)).rank == 0


def test_single_precision_sums_are_cut_off_in_time():
    """Near-duplicates have a small correction also when the Gram matrix is rounded to float32."""
    rows, u = random_rows(0, 6)
    rows = torch.cat([rows, rows[:3] + 1e-6 * torch.randn_like(rows[:3])]).float()
    u = u.float()
    coefficients = project(rows @ rows.T, rows @ u).coefficients
    assert coefficients.abs().max() < 10
    left = u - coefficients.float() @ rows
    assert ((rows @ left).abs() / rows.norm(dim=1)).max() < 1e-4 * u.norm()


def test_each_tensor_has_its_own_projection():
    rows, u = random_rows(1, 3)
    parts = {"a": (rows[:, :15], u[:15]), "b": (rows[:, 15:], u[15:])}
    grams = {name: r @ r.T for name, (r, _) in parts.items()}
    products = {name: r @ v for name, (r, v) in parts.items()}
    alone = project_parameters(grams, products, "tensor", rtol=1e-12)
    for name, (r, v) in parts.items():
        assert (r @ (v - alone[name].coefficients @ r)).abs().max() < 1e-12
    assert ranks(alone, "tensor") == {"a": 3, "b": 3}
    together = project_parameters(grams, products, "global", rtol=1e-12)
    assert together["a"] is together["b"]
    expected = project(rows @ rows.T, rows @ u).coefficients
    torch.testing.assert_close(together["a"].coefficients, expected)
    assert ranks(together, "global") == {"global": 3}


def test_bad_input_is_refused():
    # Raised by the annotations, which are checked in tests, or by the function.
    refused = (ValueError, TypeCheckError)
    with pytest.raises(refused, match="products"):
        project(torch.eye(2), torch.ones(3))
    with pytest.raises(ValueError, match="not finite"):
        project(torch.eye(2) * torch.nan, torch.ones(2))
    with pytest.raises(refused, match="scope"):
        project_parameters({"a": torch.eye(1)}, {"a": torch.ones(1)}, "layer", rtol=0.0)

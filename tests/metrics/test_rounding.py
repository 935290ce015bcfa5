"""Weights rounded to bf16, int8 and int4: by hand, and what holds for all weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from asr_unlearn.metrics.rounding import GROUP, PRECISIONS, rounded

weights = arrays(
    "float32",
    array_shapes(min_dims=2, max_dims=3, max_side=70),
    elements=st.floats(-100, 100, width=32, allow_subnormal=False),
    fill=st.nothing(),
).map(torch.from_numpy)


def test_int8_has_a_step_for_each_output():
    weight = torch.tensor([[127.0, 1.4, -1.6, 0.5, 1.5], [-254.0, 2.9, 3.1, 1.0, 0.0]])
    expected = [[127.0, 1.0, -2.0, 0.0, 2.0], [-254.0, 2.0, 4.0, 0.0, 0.0]]
    assert rounded(weight, "int8").tolist() == expected


def test_int4_has_a_step_for_each_group_of_inputs():
    weight = torch.zeros(1, GROUP + 3)
    weight[0, :4] = torch.tensor([7.0, 3.4, -3.6, 0.4])
    weight[0, GROUP:] = torch.tensor([-70.0, 14.0, 16.0])
    found = rounded(weight, "int4")[0]
    assert found[:4].tolist() == [7.0, 3.0, -4.0, 0.0]
    assert found[GROUP:].tolist() == [-70.0, 10.0, 20.0]
    assert not found[4:GROUP].any()


def test_bf16_keeps_eight_bits_of_the_mantissa():
    weight = torch.tensor([[1.0, 1 + 2**-7, 1 + 2**-9, 3.14159274]])
    assert rounded(weight, "bf16").tolist() == [[1.0, 1 + 2**-7, 1.0, 3.140625]]
    assert torch.equal(rounded(weight.bfloat16().float(), "bf16"), weight.bfloat16().float())


def test_a_convolution_is_rounded_as_the_matrix_of_its_inputs():
    weight = torch.randn(4, 10, 5, generator=torch.Generator().manual_seed(0))
    for precision in PRECISIONS:
        as_matrix = rounded(weight.flatten(1), precision).reshape(4, 10, 5)
        assert torch.equal(rounded(weight, precision), as_matrix)


@given(weights)
def test_an_error_is_half_a_step_at_most(weight):
    rows = weight.flatten(1)
    found = {precision: rounded(weight, precision).flatten(1) for precision in PRECISIONS}
    assert torch.all((found["bf16"] - rows).abs() <= rows.abs() * 2.0**-8)
    for name, largest, size in (("int8", 127, rows.shape[1]), ("int4", 7, GROUP)):
        for group, made in zip(rows.split(size, 1), found[name].split(size, 1), strict=True):
            most = group.abs().amax(1, keepdim=True)
            assert torch.all((made - group).abs() <= most / largest / 2 * (1 + 1e-4))


def test_the_smallest_three_in_ten_are_pruned():
    weight = torch.tensor([[5.0, -1.0, 3.0, -4.0, 2.0], [0.5, 6.0, -7.0, 8.0, -9.0]])
    expected = [[5.0, 0.0, 3.0, -4.0, 0.0], [0.0, 6.0, -7.0, 8.0, -9.0]]
    assert rounded(weight, "pruned").tolist() == expected
    assert rounded(torch.tensor([[2.0]]), "pruned").tolist() == [[2.0]]


@given(weights)
def test_what_is_not_pruned_stays(weight):
    found = rounded(weight, "pruned")
    kept = found != 0
    assert torch.equal(found[kept], weight[kept])
    assert int((~kept).sum()) >= round(0.3 * weight.numel())
    gone = weight[~kept].abs()
    assert not len(gone) or not kept.any() or gone.max() <= weight[kept].abs().min()


@given(weights)
def test_rounding_twice_is_rounding_once(weight):
    for precision in ("bf16", "int8", "int4"):
        once = rounded(weight, precision)
        torch.testing.assert_close(rounded(once, precision), once, rtol=1e-5, atol=0)


def test_half_precision_stays_half_precision():
    weight = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).half()
    assert rounded(weight, "int4").dtype == torch.float16
    assert len(rounded(weight, "int4")[:, :GROUP].unique()) <= 3 * 15


@pytest.mark.parametrize("precision", PRECISIONS)
def test_zeros_stay_zeros(precision):
    assert not rounded(torch.zeros(2, 40), precision).any()

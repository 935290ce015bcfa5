"""Changes of earlier requests: their span, and steps that keep off it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.training.earlier_requests import keep_off, orthonormal
from tests.support.tiny_training import tiny_training

SHAPES = {"a": (3, 4), "b": (5,)}


def some(seed, count, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randn(shape, generator=random, dtype=dtype) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


def flat(gradient):
    return torch.cat([value.flatten() for value in gradient.values()])


@given(st.integers(0, 100), st.integers(1, 4))
def test_directions_are_orthonormal_and_span_the_changes(seed, count):
    changes = some(seed, count)
    # One is a combination of two others, and one is nothing.
    changes += [{n: changes[0][n] + 2 * changes[-1][n] for n in SHAPES}]
    changes += [{n: torch.zeros(shape, dtype=torch.float64) for n, shape in SHAPES.items()}]
    found = torch.stack([flat(each) for each in orthonormal(changes, SHAPES)])
    found = found[:count]
    torch.testing.assert_close(found @ found.T, torch.eye(count, dtype=torch.float64))
    for change in map(flat, changes):
        torch.testing.assert_close(found.T @ (found @ change), change)


def test_only_the_parts_along_the_directions_are_taken_out():
    directions = orthonormal(some(0, 2), SHAPES)
    before, change = some(1, 1)[0], some(2, 1)[0]
    parameters = {n: torch.nn.Parameter(before[n] + change[n]) for n in SHAPES}
    keep_off(directions, parameters, before)
    left = flat({n: p.detach() - before[n] for n, p in parameters.items()})
    basis = torch.stack([flat(each) for each in directions])
    torch.testing.assert_close(basis @ left, torch.zeros(2, dtype=torch.float64))
    expected = flat(change) - basis.T @ (basis @ flat(change))
    torch.testing.assert_close(left, expected)


# By Adam, and by steps of a planned length.
@pytest.mark.parametrize("name", ["neggrad_plus", "orthograd_tau"])
def test_a_run_never_moves_along_an_earlier_change(name, corpus, tiny_config, tmp_path):
    options = {"epochs": 2} if name == "orthograd_tau" else {"epochs": 2, "lr": 1e-3}
    plain = tiny_training(corpus, tiny_config, tmp_path / "plain", name, **options)
    start = {n: p.detach().clone() for n, p in plain.update.parameters.items()}
    plain()
    change = {n: p.detach() - start[n] for n, p in plain.update.parameters.items()}
    kept = tiny_training(
        corpus, tiny_config, tmp_path / "kept", name, protected=[change], **options
    )
    kept()
    moved = {n: p.detach() - start[n] for n, p in kept.update.parameters.items()}
    assert flat(moved).norm() > 0.1 * flat(change).norm()
    cosine = torch.cosine_similarity(flat(moved).double(), flat(change).double(), dim=0)
    assert abs(cosine) < 1e-3

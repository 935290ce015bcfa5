"""Conjugate gradients over a pool of micro-batches, against the direct solution."""

import pytest
import torch

from asr_unlearn.gradients import per_utterance_gradients, pool_step, stacked_step
from tests.support.gradient_checks import flat, positive_metric
from tests.support.gradient_problems import WeightNormed, module_problem, recogniser

SPLITS = [[[0, 1, 2, 3, 4, 5]], [[0, 1], [2, 3, 4], [5]]]


@pytest.mark.parametrize("metric", [None, positive_metric])
@pytest.mark.parametrize("scope", ["global", "tensor"])
@pytest.mark.parametrize("split", SPLITS)
def test_equals_the_direct_solution(split, scope, metric):
    problem = module_problem(WeightNormed, torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 6)
    metric = metric and metric(problem.model)
    pool = [retain.take(indices) for indices in split]
    options = {"scope": scope, "metric": metric}
    found = pool_step(
        problem.model, problem.losses, forget, pool, tolerance=1e-9, max_iterations=30, **options
    )
    expected = stacked_step(problem.model, problem.losses, forget, retain, **options)
    assert found.residual <= 1e-9
    assert 0 < found.iterations < 30
    for part in ("forget", "orthogonal", "retain"):
        a, b = flat(getattr(expected, part)), flat(getattr(found, part))
        assert (a - b).norm() <= 1e-5 * a.norm(), part
    torch.testing.assert_close(found.retain_losses, expected.retain_losses)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_residual_is_that_of_the_step(dtype):
    problem = recogniser("wav2vec2, group norm", dtype)
    forget, retain = problem.batch(2, 3), problem.batch(1, 5)
    pool = [retain.take([0, 1]), retain.take([2, 3, 4])]
    step = pool_step(problem.model, problem.losses, forget, pool, tolerance=0.0, max_iterations=2)
    rows, _ = per_utterance_gradients(problem.model, problem.losses, retain)
    products = (rows @ flat(step.orthogonal)).abs() / rows.norm(dim=1) / flat(step.forget).norm()
    assert step.iterations == 2
    assert step.residual == pytest.approx(float(products.max()), rel=1e-3)
    exact = pool_step(problem.model, problem.losses, forget, pool, tolerance=1e-5)
    assert exact.residual <= 1e-5 < step.residual


def test_repeated_utterances_do_not_matter():
    problem = module_problem(WeightNormed, torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    pools = [[retain], [retain, retain.take([1, 1, 3]).rescaled([1e-3, 5.0, 40.0])]]
    once, more = (
        pool_step(problem.model, problem.losses, forget, pool, tolerance=1e-10) for pool in pools
    )
    difference = flat(once.orthogonal) - flat(more.orthogonal)
    assert difference.norm() <= 1e-5 * flat(once.orthogonal).norm()


def test_an_empty_pool_is_refused():
    problem = recogniser("wav2vec2, group norm", torch.float32)
    with pytest.raises(ValueError, match="no utterances"):
        pool_step(problem.model, problem.losses, problem.batch(1, 1), [])

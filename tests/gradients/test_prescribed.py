"""The smallest step that changes the losses as prescribed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_unlearn.gradients import Rises, per_utterance_gradients, trainable_parameters
from asr_unlearn.gradients.projection import prescribed
from tests.support.gradient_checks import ENGINES, flat, positive_metric
from tests.support.gradient_problems import RECOGNISERS, recogniser

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

RISE, RISES = 0.02, [0.0, -0.01, 0.005, -0.003]


def some_rises(retain=RISES, forget=RISE):
    return Rises(lambda losses: forget, lambda losses: losses.new_tensor(retain))


@pytest.mark.parametrize("metric", [None, positive_metric])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_losses_change_as_prescribed_by_the_smallest_step(engine, metric):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    metric = metric and metric(problem.model)
    step = engine(problem.model, problem.losses, forget, retain, metric=metric, rises=some_rises())
    rows, losses = per_utterance_gradients(problem.model, problem.losses, retain)
    constraints = torch.cat([rows, flat(step.forget)[None]])
    wanted = torch.tensor([*RISES, RISE], dtype=torch.float64)
    torch.testing.assert_close(constraints @ flat(step.orthogonal), wanted, rtol=1e-6, atol=1e-9)
    root = flat(metric).sqrt() if metric else torch.ones(rows.shape[1], dtype=torch.float64)
    smallest = torch.linalg.pinv(constraints / root) @ wanted / root
    assert (flat(step.orthogonal) - smallest).norm() <= 1e-6 * smallest.norm()
    assert torch.equal(losses, step.retain_losses)
    assert step.length > 0


@pytest.mark.parametrize("name", RECOGNISERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_engines_agree(name, dtype):
    problem = recogniser(name, dtype)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    options = {"rises": some_rises(), "metric": positive_metric(problem.model)}
    expected, found = (
        engine(problem.model, problem.losses, forget, retain, **options) for engine in ENGINES
    )
    assert set(expected.orthogonal) == set(found.orthogonal)
    assert set(found.orthogonal) == set(trainable_parameters(problem.model))
    tolerance = 1e-8 if dtype is torch.float64 else 1e-3
    a, b = flat(expected.orthogonal), flat(found.orthogonal)
    assert a.norm() > 0
    assert (a - b).norm() <= tolerance * a.norm()
    assert found.length == pytest.approx(expected.length, rel=tolerance)
    assert found.kept == pytest.approx(expected.kept, rel=tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_changes_of_the_retain_losses_it_is_the_orthogonal_step_at_another_length(engine):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    given = problem.model, problem.losses, problem.batch(2, 3), problem.batch(1, 4)
    orthogonal = engine(*given)
    step = engine(*given, rises=some_rises([0.0] * 4))
    expected = step.length * flat(orthogonal.orthogonal)
    assert (flat(step.orthogonal) - expected).norm() <= 1e-9 * expected.norm()
    assert orthogonal.length == 1
    assert step.kept == pytest.approx(orthogonal.kept, rel=1e-9)
    assert step.rank == orthogonal.rank


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_may_be_gradients_of_other_losses(engine):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    squares = lambda batch: problem.losses(batch).square()  # noqa: E731
    step = engine(
        problem.model, problem.losses, forget, retain, rises=some_rises(), retain_losses=squares
    )
    rows, values = per_utterance_gradients(problem.model, squares, retain)
    torch.testing.assert_close(rows @ flat(step.orthogonal), values.new_tensor(RISES))
    torch.testing.assert_close(step.retain_losses, values)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_forget_gradient_within_the_retain_span_gives_no_ascent(engine):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    retain = problem.batch(1, 4)
    step = engine(
        problem.model, problem.losses, retain.take([1, 2]), retain, rises=some_rises([0.0] * 4)
    )
    assert step.length == 0
    assert not flat(step.orthogonal).any()


@pytest.mark.parametrize("engine", ENGINES)
def test_rises_need_the_global_scope(engine):
    problem = recogniser("wav2vec2, group norm", torch.float64)
    batch = problem.batch(1, 2)
    with pytest.raises(ValueError, match='needs the scope "global"'):
        engine(problem.model, problem.losses, batch, batch, scope="tensor", rises=some_rises())


@given(st.integers(0, 10**6), st.floats(-1, 1), st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_any_rises_of_random_rows(seed, rise, count):
    random = torch.Generator().manual_seed(seed)
    rows, u, r = (
        torch.randn(*shape, generator=random, dtype=torch.float64)
        for shape in ((count, 40), (40,), (count,))
    )
    gram, products, square = rows @ rows.T, rows @ u, float(u @ u)
    found = prescribed(gram, products, square, r, rise, rtol=1e-12)
    step = found.length * u - found.projection.coefficients @ rows
    torch.testing.assert_close(rows @ step, r, rtol=1e-6, atol=1e-9)
    # The step does not go down to keep the rise small.
    assert float(u @ step) >= rise - 1e-8
    if found.length > 0:
        assert float(u @ step) == pytest.approx(rise, abs=1e-8)


def test_near_duplicates_that_are_to_change_differently_give_no_large_step():
    rows = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1e-6, 0.0]], dtype=torch.float64)
    u = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    r = torch.tensor([0.1, -0.1], dtype=torch.float64)
    found = prescribed(rows @ rows.T, rows @ u, 1.0, r, 0.5, rtol=1e-12)
    step = found.length * u - found.projection.coefficients @ rows
    assert float(step[:2].norm()) < 0.2
    assert float(step[2]) == pytest.approx(0.5)

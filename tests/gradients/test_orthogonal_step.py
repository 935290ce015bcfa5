"""What every engine's orthogonal step must satisfy."""

from dataclasses import replace

import pytest
import torch

from asr_unlearn.gradients import (
    per_utterance_gradients,
    trainable_parameters,
)
from tests.support.gradient_checks import ENGINES, flat, positive_metric
from tests.support.gradient_problems import RECOGNISERS, VOCABULARY, recogniser

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

ORTHOGONAL = {torch.float64: 1e-10, torch.float32: 1e-5}


def flat_pieces(rows, model):
    sizes = [p.numel() for p in trainable_parameters(model).values()]
    return dict(zip(trainable_parameters(model), rows.split(sizes, dim=-1), strict=True))


@pytest.mark.parametrize("metric", [None, positive_metric])
@pytest.mark.parametrize("scope", ["global", "tensor"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ORTHOGONAL)
def test_orthogonal_to_every_retain_gradient(engine, scope, metric, dtype):
    problem = recogniser("wav2vec2, layer norm", dtype)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    metric = metric and metric(problem.model)
    step = engine(problem.model, problem.losses, forget, retain, scope=scope, metric=metric)
    rows, losses = per_utterance_gradients(problem.model, problem.losses, retain)
    assert torch.equal(losses, step.retain_losses)
    assert 0 < step.kept < 1
    pieces = {"all": (rows, flat(step.orthogonal), flat(step.forget))}
    if scope == "tensor":
        by_name = flat_pieces(rows, problem.model)
        pieces = {
            name: (by_name[name], step.orthogonal[name].reshape(-1), step.forget[name].reshape(-1))
            for name in by_name
        }
    # Some gradients are zero up to rounding: that of the bias of attention's keys.
    noise = torch.finfo(dtype).eps * float(flat(step.forget).norm())
    for name, (g, delta, u) in pieces.items():
        size = g.norm(dim=1).clamp(min=noise) * u.norm().clamp(min=noise)
        assert ((g @ delta).abs() <= ORTHOGONAL[dtype] * size).all(), name


@pytest.mark.parametrize("scope", ["global", "tensor"])
@pytest.mark.parametrize("name", RECOGNISERS)
@pytest.mark.parametrize("dtype", ORTHOGONAL)
def test_engines_agree(name, scope, dtype):
    problem = recogniser(name, dtype)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    for metric in (None, positive_metric(problem.model)):
        options = {"scope": scope, "metric": metric}
        expected, found = (
            engine(problem.model, problem.losses, forget, retain, **options) for engine in ENGINES
        )
        assert set(expected.orthogonal) == set(found.orthogonal)
        assert set(found.orthogonal) == set(trainable_parameters(problem.model))
        tolerance = 1e-9 if dtype is torch.float64 else 1e-4
        for part in ("forget", "orthogonal", "retain"):
            a, b = flat(getattr(expected, part)), flat(getattr(found, part))
            assert a.norm() > 0
            assert (a - b).norm() <= tolerance * a.norm(), part
        assert found.kept == pytest.approx(expected.kept, rel=tolerance)


@pytest.mark.parametrize("scope", ["global", "tensor"])
@pytest.mark.parametrize("engine", ENGINES)
def test_unchanged_when_retain_is_permuted_repeated_or_rescaled(engine, scope):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)

    def direction(batch):
        step = engine(problem.model, problem.losses, forget, batch, scope=scope)
        return flat(step.orthogonal)

    expected = direction(retain)
    others = {
        "permuted": retain.take([2, 0, 3, 1]),
        "repeated": retain.take([0, 1, 1, 2, 3, 0, 3]),
        "rescaled": retain.rescaled([1e-3, 7.0, 0.2, 50.0]),
    }
    for change, batch in others.items():
        assert (direction(batch) - expected).norm() <= 1e-6 * expected.norm(), change


def near_duplicates(batch, distance):
    """Four utterances, and the first two again with a little noise in their waves."""
    again = batch.take([0, 1, 2, 3, 0, 1])
    noise = torch.randn(again.inputs.shape, generator=torch.Generator().manual_seed(3))
    noise = noise.to(again.inputs) * (again.inputs != 0)
    noise[:4] = 0
    return replace(again, inputs=again.inputs + distance * noise)


ILL = {
    "near-duplicates at 1e-2": lambda batch: near_duplicates(batch, 1e-2),
    "near-duplicates at 1e-3": lambda batch: near_duplicates(batch, 1e-3),
    "near-duplicates at 1e-5": lambda batch: near_duplicates(batch, 1e-5),
    "two rows of next to nothing": lambda batch: batch.rescaled([1, 1e-24, 1e-22, 1]),
    "nothing but such rows": lambda batch: batch.rescaled([1e-25] * 4),
    "two rows beyond all squares": lambda batch: batch.rescaled([1, 1e20, 1e22, 1]),
}


@pytest.mark.parametrize("metric", [None, positive_metric])
@pytest.mark.parametrize("kind", ILL)
@pytest.mark.parametrize("engine", ENGINES)
def test_in_single_precision_no_row_is_too_alike_too_small_or_too_large(engine, kind, metric):
    problem = recogniser("wav2vec2, layer norm", torch.float32)
    forget, plain = problem.batch(2, 3), problem.batch(1, 4)
    retain = ILL[kind](plain)
    options = {"metric": metric and metric(problem.model)}
    step = engine(problem.model, problem.losses, forget, retain, **options)
    rows = per_utterance_gradients(problem.model, problem.losses, retain)[0].double()
    delta, u = flat(step.orthogonal).double(), flat(step.forget).double()
    assert rows.norm(dim=1).min() > 0
    assert ((rows @ delta).abs() <= 1e-6 * rows.norm(dim=1) * u.norm()).all()
    assert step.rank == {"global": len(rows)}
    if "rows" in kind:
        expected = engine(problem.model, problem.losses, forget, plain, **options)
        assert (delta - flat(expected.orthogonal)).norm() <= 1e-5 * delta.norm()
        assert step.kept == pytest.approx(expected.kept, rel=1e-5)


@pytest.mark.parametrize("metric", [None, positive_metric])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_step_leaves_every_retain_loss_alone(engine, metric):
    """To first order: halving the step quarters the change."""
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    metric = metric and metric(problem.model)
    step = engine(problem.model, problem.losses, forget, retain, metric=metric)
    size = 1e-3 / flat(step.orthogonal).norm()

    def change(length, direction):
        parameters = trainable_parameters(problem.model)
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.add_(length * direction[name])
            moved = problem.losses(retain), problem.losses(forget).mean()
            for name, parameter in parameters.items():
                parameter.sub_(length * direction[name])
        return (moved[0] - step.retain_losses).abs(), moved[1] - step.forget_losses.mean()

    far, forgotten = change(size, step.orthogonal)
    near, _ = change(size / 2, step.orthogonal)
    free, _ = change(size, step.forget)
    assert (near <= 0.3 * far + 1e-12).all()
    assert far.max() < 0.05 * free.max()
    assert forgotten > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_forget_utterances(engine):
    problem = recogniser("wav2vec2, group norm", torch.float64)
    forget, retain = problem.batch(2, 3), problem.batch(1, 2)
    rows, losses = per_utterance_gradients(problem.model, problem.losses, forget)
    for weights in (None, torch.tensor([0.5, 0.0, 2.0]), lambda values: values.square()):
        step = engine(problem.model, problem.losses, forget, retain, forget_weights=weights)
        vector = losses.square() if callable(weights) else weights
        vector = torch.full((3,), 1 / 3) if vector is None else vector
        torch.testing.assert_close(flat(step.forget), vector.double() @ rows)
        assert torch.equal(step.forget_losses, losses)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_forget_gradient_within_the_retain_span_vanishes(engine):
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    retain = problem.batch(1, 4)
    step = engine(problem.model, problem.losses, retain.take([1, 2]), retain)
    assert step.kept < 1e-6
    assert step.rank == {"global": 4}
    rows, _ = per_utterance_gradients(problem.model, problem.losses, retain)
    torch.testing.assert_close(flat(step.retain), rows.mean(0))


@pytest.mark.parametrize("engine", ENGINES)
def test_bad_metrics_are_refused_by_name(engine):
    problem = recogniser("wav2vec2, group norm", torch.float64)
    batch = problem.batch(1, 2)
    good = positive_metric(problem.model)
    missing = dict(good)
    missing.pop("lm_head.bias")
    bad = {
        "no entry for the parameter lm_head.bias": missing,
        "lm_head.bias is not positive": good | {"lm_head.bias": torch.zeros(VOCABULARY)},
        "lm_head.bias has shape": good | {"lm_head.bias": torch.ones(2)},
    }
    for message, metric in bad.items():
        with pytest.raises(ValueError, match=message):
            engine(problem.model, problem.losses, batch, batch, metric=metric)

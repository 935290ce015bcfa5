"""What every engine's orthogonal step must satisfy."""

from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError

from asr_unlearn.gradients import (
    per_utterance_gradients,
    stacked_step,
    streaming_step,
    trainable_parameters,
    weighted_gradient,
)
from asr_unlearn.gradients.rules import Linear, Pair
from tests.support.gradient_problems import RECOGNISERS, VOCABULARY, recogniser

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

ENGINES = [stacked_step, streaming_step]
ORTHOGONAL = {torch.float64: 1e-10, torch.float32: 1e-5}


def positive_metric(model):
    random = torch.Generator().manual_seed(5)
    return {
        name: torch.rand(p.shape, generator=random, dtype=torch.float64).to(p) * 3 + 0.1
        for name, p in trainable_parameters(model).items()
    }


def flat(gradient):
    return torch.cat([value.reshape(-1) for value in gradient.values()])


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
    # Some gradients are zero but for rounding, such as that of a bias of attention's keys.
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


def test_a_changing_batch_is_measured_anew():
    problem = recogniser("wavlm", torch.float64)
    retain = problem.batch(1, 5)
    forget = problem.batch(2, 2)
    for indices in ([0, 1, 2, 3, 4], [4, 2], [3], [1, 0, 2, 4, 3]):
        batch = retain.take(indices)
        expected, found = (e(problem.model, problem.losses, forget, batch) for e in ENGINES)
        torch.testing.assert_close(flat(found.orthogonal), flat(expected.orthogonal))


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


def test_losses_that_cannot_be_differentiated_are_refused():
    model = torch.nn.Linear(2, 1)
    x = torch.randn(3, 2)
    with pytest.raises(ValueError, match=r"shape \[B\]"):
        weighted_gradient(model, lambda batch: model(batch), x)
    with pytest.raises(ValueError, match="do not depend"):
        weighted_gradient(model, lambda batch: model(batch).detach()[:, 0], x)
    # Whichever looks first: the annotations, checked in tests, or the function itself.
    with pytest.raises((ValueError, TypeCheckError), match="weights"):
        weighted_gradient(model, lambda batch: model(batch)[:, 0], x, torch.ones(2))
    with pytest.raises(ValueError, match="no trainable"):
        trainable_parameters(model.requires_grad_(False))


@pytest.mark.parametrize("cheaper", [True, False])
def test_the_ghost_product_is_the_gram_matrix(monkeypatch, cheaper):
    monkeypatch.setattr(Linear, "ghost_is_cheaper", lambda rule, pair: cheaper)
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
        return Linear().ghost_is_cheaper(Pair(torch.empty(shape), torch.empty(shape), 8, {}))

    assert cheaper(1)
    assert cheaper(8)
    assert not cheaper(64)
    assert not cheaper(1500)

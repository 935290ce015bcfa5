"""OrthoGrad equals a step written out by hand, and the step taken is orthogonal."""

import json
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.methods import METHODS, Step
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC
from asr_unlearn.training.trainer import Training
from tests.support.linear_task import (
    FORGET,
    RETAIN,
    LinearTask,
    by_hand,
    linear_context,
    linear_direction,
)
from tests.support.tiny_training import tiny_training


def project_out(u, rows):
    """u minus its projection onto the rows' span, by least squares."""
    coefficients = np.linalg.lstsq(rows.T, u, rcond=1e-9)[0]
    return u - rows.T @ coefficients


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_orthograd_in_the_euclidean_metric(alpha):
    rows = by_hand(RETAIN)
    u = project_out(by_hand(FORGET).mean(0), rows)
    expected = alpha * rows.mean(0) - (1 - alpha) * u
    found = linear_direction("orthograd", alpha=alpha, metric="euclidean")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_orthograd_in_the_metric_of_adam():
    """D = √v with v the mean of the two squared gradients, taken from the first batch itself."""
    rows, u = by_hand(RETAIN), by_hand(FORGET).mean(0)
    root = ((u**2 + rows.mean(0) ** 2) / 2) ** 0.25
    expected = 0.5 * rows.mean(0) / root**2 - 0.5 * project_out(u / root, rows / root) / root
    found = linear_direction("orthograd", metric="adam", alpha=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_orthograd_in_the_metric_of_adam_and_the_fisher_information():
    """D = √(max(v, squares) + F); at the first step v is the squares themselves."""
    rows, u = by_hand(RETAIN), by_hand(FORGET).mean(0)
    root = ((u**2 + rows.mean(0) ** 2) / 2 + (rows**2).mean(0)) ** 0.25
    expected = 0.5 * rows.mean(0) / root**2 - 0.5 * project_out(u / root, rows / root) / root
    found = linear_direction("orthograd", metric="adam_fisher", alpha=0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_orthograd_in_the_metric_of_the_fisher_information():
    rows, u = by_hand(RETAIN), by_hand(FORGET).mean(0)
    fisher = (rows**2).mean(0)
    root = (fisher / fisher.mean() + 0.2) ** 0.5
    expected = 0.5 * rows.mean(0) / root**2 - 0.5 * project_out(u / root, rows / root) / root
    options = {"metric": "fisher", "alpha": 0.5, "damping": 0.2, "fisher_batches": 1}
    np.testing.assert_allclose(linear_direction("orthograd", **options), expected, rtol=1e-3)


def test_a_step_with_a_pool_is_a_step_with_a_large_batch(corpus, tiny_config, tmp_path):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    found = []
    for options in ({"retain_batch": 16}, {"retain_batch": 4, "retain_pool": 16}):
        model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
        task = CTC(model.eval(), processor)
        task.freeze_front_end()
        method = METHODS["orthograd"](metric="euclidean", **options)
        parts = {p: data.part(p) for p in method.needs}
        run = Training(task, method, parts, Inputs(task), tmp_path, seed=0)
        found.append(method.direction(Step(run.context, 0, run._batches)).gradient)
    exact, pooled = (torch.cat([g.flatten() for g in gradient.values()]) for gradient in found)
    # The residual allows a thousandth of the forget gradient along each retain gradient.
    assert (pooled - exact).norm() < 0.02 * exact.norm()


def test_the_residual_of_a_pool_step_is_logged(corpus, tiny_config, tmp_path, monkeypatch):
    options = {"epochs": 1, "retain_batch": 4, "retain_pool": 8}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny_training(corpus, tiny_config, tmp_path / "near", "orthograd", **options)()
    lines = (tmp_path / "near" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows
    assert all(row["residual"] <= 1e-3 and row["iterations"] > 0 for row in rows)
    monkeypatch.setattr("asr_unlearn.methods.orthograd.TOLERANCE", 0.0)
    with pytest.warns(UserWarning, match="the step is orthogonal to the retain pool to"):
        tiny_training(corpus, tiny_config, tmp_path / "far", "orthograd", **options)()


@pytest.mark.parametrize("metric", ["euclidean", "adam", "fisher", "adam_fisher"])
@pytest.mark.parametrize("scope", ["global", "tensor"])
def test_the_step_really_taken_is_orthogonal(metric, scope, corpus, tiny_config, tmp_path):
    """gᵢᵀΔθ = 0 for each retain utterance of the batch, over several steps of the real loop."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
    task = CTC(model.double(), processor)
    task.freeze_front_end()
    options = {"alpha": 0.0, "metric": metric, "scope": scope, "retain_batch": 4}
    method = METHODS["orthograd"](lr=1e-3, fisher_batches=2, **options)
    inputs = Inputs(task)
    run = Training(task, method, {p: data.part(p) for p in method.needs}, inputs, tmp_path, seed=0)
    model.eval()
    method.prepare(run.context)
    for step in range(3):
        model.eval()
        batch = run.sources["retain"][step]
        rows = [
            torch.autograd.grad(
                loss, list(run.update.parameters.values()), retain_graph=True, allow_unused=True,
                materialize_grads=True,
            )
            for loss in task.losses(batch)
        ]  # fmt: skip
        before = [p.detach().clone() for p in run.update.parameters.values()]
        run._update()
        run.progress.step += 1
        moved = [
            p.detach() - b for p, b in zip(run.update.parameters.values(), before, strict=True)
        ]
        length = sum(m.square().sum() for m in moved) ** 0.5
        assert length > 0
        for row in rows:
            size = sum(g.square().sum() for g in row) ** 0.5
            product = sum((g * m).sum() for g, m in zip(row, moved, strict=True))
            assert abs(product) < 1e-8 * size * length


@pytest.mark.parametrize(
    ("optimizer", "named"),
    [
        (lambda p: [{"params": p, "momentum": 0.9}], "momentum"),
        (lambda p: [{"params": p[:1]}, {"params": p[1:], "weight_decay": 0.1}], "weight_decay"),
        (lambda p: [{"params": p, "maximize": True}], "maximize"),
        (lambda p: [{"params": p[:1]}], "some parameters only"),
    ],
)
def test_orthograd_refuses_an_optimizer_that_takes_another_step(optimizer, named):
    class Own(METHODS["orthograd"]):
        def optimizer(self, parameters):
            return torch.optim.SGD(optimizer(parameters), lr=self.lr)

    model = nn.Sequential(nn.Linear(4, 1, bias=False), nn.Flatten(), nn.Linear(1, 1))
    losses = lambda x: model(x)[:, 0] ** 2  # noqa: E731
    with pytest.raises(ValueError, match=f"{named} would not take the step"):
        Own().prepare(linear_context(LinearTask(model, losses), total=1))

"""A projected step: equal to one written out by hand, orthogonal on real models, resumable."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from asr_unlearn.methods import METHODS, Step
from asr_unlearn.methods.projected import ProjectedStep
from asr_unlearn.runtime.errors import InputError
from tests.support.linear_task import FORGET, RETAIN, SOURCES, by_hand, linear_context, linear_task
from tests.support.tiny_training import tiny_training

REFUSED = (
    *("finetune", "cf_k", "l1_sparse", "msa", "salun", "ssd", "sfr_on", "orthograd"),
    *("orthograd_tau", "undo"),
)
PROJECTED = sorted(METHODS.keys() - {*REFUSED})


def project_out(v, rows):
    """v minus its projection onto the rows' span, by least squares."""
    return v - rows.T @ np.linalg.lstsq(rows.T, v, rcond=1e-9)[0]


def first_step(name, **options):
    method, context = METHODS[name](project=True, **options), linear_context(linear_task())
    method.prepare(context)
    projection = ProjectedStep()
    projection.prepare(context)
    step = Step(context, 0, lambda part: SOURCES[part][0])
    found = projection(step, method.direction(step))
    return found.gradient["weight"][0].double().numpy(), found.logged["kept"]


@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_the_step_is_that_of_the_formula(alpha):
    """D⁻¹r + D⁻¹(v − Gᵀc), D = √((u² + ḡ²)/2 + F), for v = −(1 − α)·u and r = α·ḡ."""
    rows = by_hand(RETAIN)
    v, rest = (alpha - 1) * by_hand(FORGET).mean(0), alpha * rows.mean(0)
    root = ((by_hand(FORGET).mean(0) ** 2 + rows.mean(0) ** 2) / 2 + (rows**2).mean(0)) ** 0.25
    left = project_out(v / root, rows / root)
    found, kept = first_step("neggrad_plus", alpha=alpha)
    np.testing.assert_allclose(found, rest / root**2 + left / root, rtol=1e-3, atol=1e-5)
    assert kept == pytest.approx(np.linalg.norm(left) / np.linalg.norm(v / root), rel=1e-3)


def test_a_method_that_needs_no_retain_utterances_draws_them():
    found, _ = first_step("gradient_ascent")
    assert np.abs(by_hand(RETAIN) @ found).max() < 1e-5 * np.abs(found).max()
    assert METHODS["gradient_ascent"](project=True).parts == ("forget", "retain")
    assert METHODS["gradient_ascent"]().parts == ("forget",)
    assert METHODS["npo"](project=True).parts == ("forget", "retain")


def test_every_method_is_projected_or_refused():
    assert len(PROJECTED) == 11
    for name in REFUSED:
        with pytest.raises(InputError, match=f"{name}: project is for methods whose step"):
            METHODS[name](project=True)


def length_of(gradient):
    return sum(g.square().sum() for g in gradient.values()).sqrt()


def retain_rows(run, batch):
    parameters = list(run.update.parameters.values())
    rows = [
        torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True,
                            allow_unused=True)
        for loss in run.task.losses(batch)
    ]  # fmt: skip
    return torch.stack([torch.cat([g.flatten() for g in row]).double() for row in rows])


@pytest.mark.parametrize("name", PROJECTED)
def test_the_forget_part_of_each_step_is_orthogonal(
    name, corpus, tiny_config, tmp_path, monkeypatch
):
    """To the gradients of the model as it is in that step, which dropout is part of."""
    options = {"epochs": 2, "forget_batch": 3, "retain_batch": 4, "project": True}
    run = tiny_training(corpus, tiny_config, tmp_path, name, lr=1e-3, **options)
    # So that the untrained model is below the target of nabla_tau.
    run.context = replace(run.context, difficulty=2.0)
    cosines = []
    projected = ProjectedStep.__call__

    def checked(projection, step, direction):
        if direction.forget is None:
            return projected(projection, step, direction)
        if float(length_of(direction.forget)) < 1e-5:
            # The first gradient of a divergence from the model itself is rounding alone.
            assert name in ("attention_smoothing", "scrub")
            return projected(projection, step, direction)
        state = torch.random.get_rng_state()
        found = projected(projection, step, direction)
        torch.random.set_rng_state(state)
        rows = retain_rows(run, step.batch("retain"))
        metric = projection.metric.now()
        rest = {n: (direction.gradient[n] - direction.forget[n]) / metric[n] for n in metric}
        delta = torch.cat([(found.gradient[n] - rest[n]).flatten() for n in run.update.parameters])
        assert delta.norm() > 0
        products = rows @ delta.double()
        # In D's metric: ‖gᵢ‖ and ‖Δ‖ are those of gᵢ/√D and √D·Δ.
        flat = torch.cat([metric[n].flatten() for n in run.update.parameters]).double()
        lengths = (rows**2 / flat).sum(1).sqrt() * (delta.double() ** 2 * flat).sum().sqrt()
        cosines.append(float((products.abs() / lengths).max()))
        return found

    monkeypatch.setattr(ProjectedStep, "__call__", checked)
    outcome = run()
    assert outcome.steps >= 2
    assert cosines
    assert max(cosines) < 1e-3
    assert type(run.update.optimizer) is torch.optim.SGD
    assert all(map(math.isfinite, cosines))


def test_a_step_before_any_forget_batch_is_rescaled_too():
    context = linear_context(linear_task())
    projection = ProjectedStep()
    projection.prepare(context)
    step = Step(context, 0, lambda part: SOURCES[part][0])
    direction = METHODS["finetune"]().direction(step)
    rows = by_hand(RETAIN)
    scale = np.sqrt(rows.mean(0) ** 2 + (rows**2).mean(0))
    found = projection(step, direction).gradient["weight"][0].double().numpy()
    np.testing.assert_allclose(found, rows.mean(0) / (scale + 1e-8), rtol=1e-3, atol=1e-6)

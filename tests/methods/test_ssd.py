"""SSD: dampening, its levels, and its options."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.registry import make_method
from tests.support.toy_task import close, context, gradients, prepared, step


def test_ssd_dampens_what_matters_more_to_the_forget_set():
    given = context()
    method = prepared("ssd", given, weakest=4.0, strongest=1.0, levels=3, lam=0.8)
    forget, retain = (
        (gradients(given, given.sources[part][0])[0] ** 2).mean(0) for part in ("forget", "retain")
    )
    ratio = forget / (0.4 * forget + 0.6 * retain)
    original = given.model.weight.detach().numpy().copy()
    optimizer = method.optimizer([given.model.weight])
    assert method.steps_per_epoch(given.sources) == 3
    for number, selected in enumerate([4.0, 2.0, 1.0]):
        given.model.weight.grad = method.direction(step(given, number)).gradient["weight"]
        optimizer.step()
        factor = np.where(ratio > selected, np.minimum(0.8 / ratio, 1), 1)
        close(given.model.weight.detach().numpy(), factor * original)
    assert (factor < 1).any()
    assert (factor == 1).any()


def test_ssd_is_checked_only_at_levels_that_change_a_weight():
    given = context()
    method = prepared("ssd", given, weakest=100.0, strongest=1.0, levels=9, lam=0.8)
    before, changed = given.model.weight.detach().clone(), []
    optimizer = method.optimizer([given.model.weight])
    for number in range(9):
        given.model.weight.grad = method.direction(step(given, number)).gradient["weight"]
        optimizer.step()
        after = given.model.weight.detach().clone()
        changed.append(not torch.allclose(before, after, rtol=1e-12))
        before = after
    assert [method.is_checked(n, given, every=4) for n in range(1, 10)] == changed
    # No ratio can be above |F ∪ R| / |F|.
    assert not any(changed[:5])
    assert any(changed)


def test_ssd_has_no_options_that_do_nothing():
    names = {field.name for field in fields(METHODS["ssd"])}
    assert not names & {"warmup", "final_lr"}
    with pytest.raises(ValueError, match="ssd has no option 'warmup'"):
        make_method("ssd", {"warmup": 0.1})

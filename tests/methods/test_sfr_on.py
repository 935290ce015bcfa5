"""SFR-on: the masked ascent, the learning rate, the clipping and the slow weights."""

import math

import pytest
import torch

from asr_unlearn.methods import METHODS
from tests.support.toy_task import close, context, direction, gradients, prepared, step


def test_sfr_on_ascends_where_the_retain_information_is_small():
    given = context()
    method = prepared("sfr_on", given, gamma=1.5, lam=0.5, forget_scale=2.0, retain_steps=2)
    rows, losses = gradients(given, given.sources["forget"][0])
    retained, _ = gradients(given, given.sources["retain"][0])
    mask = (rows**2).mean(0) >= 1.5 * (retained**2).mean(0)
    assert 0 < mask.sum() < mask.size
    weights = losses**-0.5 / (losses**-0.5).sum()
    ascent = (weights[:, None, None] * rows).sum(0) * mask
    for number, scale in ((0, 1.0), (3, 0.5 * (1 + math.cos(math.pi * 3 / 8)))):
        close(direction(method, step(given, number)), -2.0 * scale * ascent)
    for number in (1, 2, 4):
        close(direction(method, step(given, number)), retained.mean(0))
    assert [method.rate(n, 8) for n in (0, 4, 8)] == pytest.approx([1, 0.5, 0])


def test_sfr_on_clips_the_ascent_alone():
    given = context()
    method = METHODS["sfr_on"](clip=7.0, retain_steps=2)
    limits = [method.max_norm(step(given, number)) for number in range(4)]
    assert limits == [7.0, math.inf, math.inf, 7.0]
    assert METHODS["sfr_on"](clip=0.0).max_norm(step(given)) == math.inf
    assert METHODS["scrub"](clip=2.0).max_norm(step(given, 1)) == 2.0


def test_sfr_on_warms_up_and_ends_where_its_options_say():
    method = METHODS["sfr_on"](warmup=0.2, final_lr=0.1)
    rates = [method.rate(n, 10) for n in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.55, 0.1])


@pytest.mark.parametrize("beta", [1.0, 0.25])
def test_sfr_on_slow_weights_follow_after_each_round(beta):
    given = context()
    method = prepared("sfr_on", given, beta=beta, retain_steps=1)
    start = given.model.weight.detach().clone()
    slow = start.clone()
    for number in range(4):
        with torch.no_grad():
            given.model.weight.add_(1.0)
        fast = given.model.weight.detach().clone()
        method.after_step(step(given, number))
        if number % 2:
            slow = slow + beta * (fast - slow)
            torch.testing.assert_close(given.model.weight.detach(), slow)
        else:
            assert torch.equal(given.model.weight, fast)

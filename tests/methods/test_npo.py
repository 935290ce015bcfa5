"""NPO: its gradient is that of the paper's loss, and its weights end an utterance's ascent."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import softplus

from asr_unlearn.methods import Step
from tests.support.toy_task import close, context, direction, prepared

LABELS = torch.tensor([3, 7])


def given_step(given, number=0):
    """A step whose forget utterances have several labels each."""

    def draw(part):
        batch = given.sources[part][0]
        return replace(batch, target_lengths=LABELS) if part == "forget" else batch

    return Step(given, number, draw)


@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 0.1), (0.3, 1.0), (0.5, 0.01)])
def test_the_step_descends_the_loss_of_the_paper(alpha, beta):
    given = context()
    method = prepared("npo", given, alpha=alpha, beta=beta)
    task, step = given.task, given_step(given)
    before = task.losses(step.batch("forget")).detach()
    with torch.no_grad():
        given.model.weight.add_(torch.linspace(-1, 1, 12).view(3, 4).double())
    log_ratio = -LABELS * (task.losses(step.batch("forget")) - before)
    # (2/β) log(1 + (π/π₀)^β)
    forget = 2 / beta * softplus(beta * log_ratio)
    whole = (1 - alpha) * forget.mean() + alpha * task.losses(step.batch("retain")).mean()
    (expected,) = torch.autograd.grad(whole, given.model.weight)
    close(direction(method, step), expected.numpy())


def test_with_beta_near_zero_it_is_ascent_on_all_labels_together():
    given = context()
    method = prepared("npo", given, alpha=0.0, beta=1e-12)
    step = given_step(given)
    summed = (LABELS * given.task.losses(step.batch("forget"))).mean()
    (expected,) = torch.autograd.grad(-summed, given.model.weight)
    close(direction(method, step), expected.numpy())


def test_an_utterance_that_is_forgotten_weighs_nothing():
    given = context()
    method = prepared("npo", given, beta=1.0)
    batch = given_step(given).batch("forget")
    losses = given.task.losses(batch).detach()
    weights = method.forget_weights(given_step(given))
    close(weights(losses).numpy(), (LABELS / 2).numpy())
    later = weights(losses + torch.tensor([0.0, 1e4], dtype=losses.dtype))
    close(later.numpy(), [1.5, 0.0])

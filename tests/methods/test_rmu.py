"""RMU: its gradient is that of the formula, and states go where they are steered."""

import pytest
import torch

from asr_unlearn.methods import Step
from tests.support.tiny_training import tiny_training


@pytest.fixture
def run(corpus, tiny_config, tmp_path):
    options = {"epochs": 20, "forget_batch": 4, "retain_batch": 8, "lr": 3e-3, "steering": 2.0}
    training = tiny_training(corpus, tiny_config, tmp_path, "rmu", **options)
    training.task.model.eval()
    training.method.prepare(training.context)
    return training


def states(task, batch):
    found, true = task.states(batch)
    return [one[own] for one, own in zip(found, true, strict=True)]


def test_the_step_descends_the_formula(run):
    step = Step(run.context, 0, run._batches)
    forget, retain = step.batch("forget"), step.batch("retain")
    task, method = run.task, run.method
    with torch.no_grad():
        original = states(task, retain)
        (first,) = run.sources["retain"].pieces(0)
        square = torch.cat(states(task, first)).square().sum(-1).mean()
    with torch.no_grad():
        for parameter in run.update.parameters.values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    goal = method._goal
    torch.testing.assert_close(goal.norm(), 2 * square.sqrt())
    assert (goal >= 0).all()
    away = [(h - goal).square().sum(-1).mean() for h in states(task, forget)]
    kept = [
        (h - h0).square().sum(-1).mean()
        for h, h0 in zip(states(task, retain), original, strict=True)
    ]
    loss = (torch.stack(away).mean() + method.alpha * torch.stack(kept).mean()) / square
    expected = torch.autograd.grad(
        loss, list(run.update.parameters.values()), allow_unused=True, materialize_grads=True
    )
    found = method.direction(step).gradient
    reached = 0
    for g, e in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(g, e, rtol=1e-3, atol=1e-6)
        reached += bool(e.abs().max() > 0)
    assert reached > 10
    # The output layer is not part of it.
    assert not found["lm_head.weight"].any()


def test_forget_states_are_steered_and_retain_states_stay(run):
    batches = [batch for part in ("forget", "retain") for batch in run.context.one_epoch(part)]
    forget, retain = batches[0], batches[-1]
    goal = run.method._goal

    def distances():
        with torch.no_grad():
            away = torch.cat(states(run.task, forget)) - goal
            return away.norm(dim=-1).mean(), torch.cat(states(run.task, retain))

    before, kept = distances()
    run()
    run.task.model.eval()
    after, now = distances()
    assert after < 0.9 * before
    assert (now - kept).norm() < 0.5 * kept.norm()

"""∇τ: the squared distance to its target, the share of ascent, and the target itself."""

import pytest
import torch

from asr_unlearn.methods import METHODS
from tests.support.toy_task import close, context, direction, mean_of, prepared, step


def test_nabla_tau_squares_outside_the_relu_and_fades_out():
    given = context()
    method = prepared("nabla_tau", given)
    (up, forget), (down, _) = mean_of(given, "forget"), mean_of(given, "retain")
    _, target = mean_of(given, "unseen")
    assert forget < target, "the toy must leave something to forget"
    for number in (0, 3, 6):
        alpha = 5 / 3 * 2 / 5 * (1 - number / 8)
        expected = -2 * alpha * (target - forget) * up + (1 - alpha) * down
        close(direction(method, step(given, number)), expected)


def test_nabla_tau_leaves_a_loss_above_the_target_alone():
    given = context()
    method = prepared("nabla_tau", given)
    method._target = 0.0
    down, _ = mean_of(given, "retain")
    close(direction(method, step(given, 4)), (1 - 5 / 3 * 2 / 5 * 0.5) * down)


def test_nabla_tau_starts_from_all_ascent_when_little_is_retained():
    """Public code divides by len(retain) // len(forget), which is 0 here."""
    given = context(retain=1)
    method = prepared("nabla_tau", given)
    (up, forget), (_, target) = mean_of(given, "forget"), mean_of(given, "unseen")
    close(direction(method, step(given)), -2 * (target - forget) * up)


def test_nabla_tau_measures_its_target_again_after_five_passes_over_the_forget_set():
    """Two batches are a pass, whatever the retain set's passes are."""
    given = context(total=40, batch_size=1)
    assert given.sources["forget"].steps_per_epoch == 2
    assert given.sources["retain"].steps_per_epoch == 3
    method = prepared("nabla_tau", given)
    before = method._target
    with torch.no_grad():
        given.model.weight.mul_(3)
    for number, changed in ((1, False), (9, False), (10, True)):
        method.direction(step(given, number))
        assert (method._target != before) == changed
    assert method._target == pytest.approx(given.unseen_loss())
    resumed = prepared("nabla_tau", context(total=40))
    resumed.load_state_dict(method.state_dict())
    assert resumed._target == method._target


def test_nabla_tau_at_its_defaults_measures_its_target_again(monkeypatch):
    method = METHODS["nabla_tau"]()
    given = context(total=method.steps(context(batch_size=2).sources), batch_size=2)
    measured = []
    monkeypatch.setattr(type(given), "unseen_loss", lambda _: measured.append(1) or 1.0)
    method.prepare(given)
    for number in range(given.total):
        method.direction(step(given, number))
    # Eight steps, of which five are five passes over the one batch of the forget set.
    assert (given.total, len(measured)) == (8, 2)

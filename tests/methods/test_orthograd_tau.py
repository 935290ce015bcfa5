"""OrthoGrad-τ: weights of utterances, targets by rank, the step, and its length."""

from dataclasses import replace

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.step_length import StepLength, of_the_same_rank
from tests.support.toy_task import close, context, direction, gradients, prepared, softmax, step


def planned_step(given, number=0, **targets):
    """A step whose plan takes the forget losses to these targets in four epochs."""
    original = given.original_losses("forget")
    targets = targets or {name: 2 * loss for name, loss in original.items()}
    return replace(step(given, number), step_length=StepLength(original, targets, epochs=4.0))


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_orthograd_tau_ascends_a_loss_of_each_utterance(power):
    given = replace(context(), difficulty=1.5)
    method = prepared("orthograd_tau", given, target=2.0, power=power)
    # Two: the easier one follows the easier half of the unseen losses.
    before = gradients(given, given.sources["forget"][0])[1]
    losses = np.sort(gradients(given, given.sources["unseen"][0])[1])
    unseen = np.repeat(losses, 2).reshape(2, -1).mean(1)
    targets = 3.0 * unseen[np.argsort(np.argsort(before))]
    weights = method._forget_weights(replace(step(given), step_length=method.step_length(given)))
    for losses in (np.array([0.1, 0.2]), 0.9 * targets, targets * [2, 0.5]):
        now = torch.tensor(losses + 1e-3, requires_grad=True)
        gap = (torch.tensor(targets + 1e-3) ** (1 - power) - now ** (1 - power)).relu()
        (-0.5 * gap**2).sum().backward()
        close(weights(torch.tensor(losses)), now.grad / now.grad.sum())
    assert (weights(torch.tensor(targets)) == 0).all()


def test_orthograd_tau_refuses_a_power_without_a_gradient():
    with pytest.raises(ValueError, match="power must be from 0 to below 1"):
        METHODS["orthograd_tau"](power=1.0)


def test_orthograd_tau_has_no_learning_rate():
    with pytest.raises(ValueError, match=r"orthograd_tau: lr must be auto, not 0\.001"):
        METHODS["orthograd_tau"](lr=1e-3)


@hypothesis.given(st.lists(st.floats(0, 9), min_size=1), st.lists(st.floats(0, 9), min_size=1))
def test_targets_of_the_same_rank_keep_the_order_and_the_distribution(losses, unseen):
    named = {str(i): loss for i, loss in enumerate(losses)}
    found = of_the_same_rank(named, unseen)
    order = sorted(named, key=lambda name: (named[name], name))
    ordered = np.array([found[name] for name in order])
    assert (np.diff(ordered) >= -1e-9).all()
    assert min(unseen) - 1e-9 <= ordered.min() <= ordered.max() <= max(unseen) + 1e-6
    again = of_the_same_rank(dict(zip("abc", [3, 1, 2], strict=True)), [10.0, 30.0, 20.0])
    assert (again["b"], again["c"], again["a"]) == (10, 20, 30)
    assert of_the_same_rank({"a": 1.0, "b": 2.0}, [0.0, 0.0, 3.0, 5.0, 6.0]) == pytest.approx(
        # Of a step function of quantiles: two and a half of five losses each.
        {"a": 1.5 / 2.5, "b": 12.5 / 2.5}
    )


@hypothesis.given(st.lists(st.floats(0, 9), min_size=1), st.lists(st.floats(0.1, 9), min_size=1))
def test_targets_of_the_same_rank_have_the_mean_of_the_unseen_losses(losses, unseen):
    """However few are to be forgotten: of one utterance it is the target."""
    found = of_the_same_rank({str(i): loss for i, loss in enumerate(losses)}, unseen)
    assert np.mean([*found.values()]) == pytest.approx(np.mean(unseen))


def kept(given, original):
    """Rows of ℓᵢ + KLᵢ of the retain batch, and by how much it is above the original's ℓᵢ."""
    batch = given.sources["retain"][0]
    rows, losses = gradients(given, batch)
    x, w = batch.inputs.numpy(), given.model.weight.detach().numpy()
    p, q = softmax(x @ w.T), softmax(x @ original.T)
    rows = rows + (p - q)[:, :, None] * x[:, None, :]
    before = -np.log(q[np.arange(len(x)), batch.targets[:, 0]])
    excess = losses + (q * np.log(q / p)).sum(1) - before
    return rows.reshape(len(x), -1), excess


def changed(given):
    """Scales the weights by 1.5; returns them as they were."""
    original = given.model.weight.detach().numpy().copy()
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    return original


def test_at_the_original_the_step_is_orthogonal_and_raises_the_loss_by_what_is_wanted():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean")
    now = planned_step(given)
    change = -direction(method, now).flatten()
    rows, losses = gradients(given, given.sources["forget"][0])
    retained = gradients(given, given.sources["retain"][0])[0].reshape(3, -1)
    close(retained @ change, 0)
    losses = torch.tensor(losses)
    weights = method._forget_weights(now)(losses)
    u = (weights.numpy()[:, None, None] * rows).sum(0).flatten()
    ids = now.batch("forget").ids
    wanted = now.length.rise(ids, losses, weights, 0.0)
    assert wanted > 0
    assert u @ change == pytest.approx(wanted)


def test_retain_utterances_return_to_the_original():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean")
    now = planned_step(given, f0=9.0, f1=9.0)
    rows, excess = kept(given, changed(given))
    assert excess.max() > 0
    change = -direction(method, now).flatten()
    np.testing.assert_allclose(rows @ change, -excess.clip(min=0), rtol=1e-6, atol=1e-9)


def test_once_all_targets_are_reached_it_only_returns():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean")
    now = planned_step(given, f0=1e-9, f1=1e-9)
    close(direction(method, now), 0)
    rows, excess = kept(given, changed(given))
    expected = np.linalg.pinv(rows) @ excess.clip(min=0)
    found = direction(method, planned_step(given, f0=1e-9, f1=1e-9)).flatten()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_the_log_has_the_losses_and_the_length():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean")
    changed(given)
    found = method.direction(planned_step(given, f0=9.0, f1=9.0))
    for part in ("forget", "retain"):
        close(found.losses[part].numpy(), gradients(given, given.sources[part][0])[1])
    assert found.logged["lr"] > 0


def test_a_leap_of_orthograd_tau_is_shortened_to_the_usual_length():
    method = METHODS["orthograd_tau"]()
    unit = torch.tensor([0.6, 0.8])
    lengths = [1.0, 2.0, 3.0, 4.0, 15.1, 14.9, 1e9]
    found = [method._limited({"a": n * unit[:1], "b": n * unit[1:]}) for n in lengths]
    taken = [float(torch.hypot(step["a"], step["b"])) for step in found]
    # The median of the first four is 2.5, of five 2.5, of six (2.5 + 3) / 2.
    assert taken == pytest.approx([*lengths[:4], 2.5, 14.9, 2.75])
    assert all(float(step["b"] / step["a"]) == pytest.approx(4 / 3) for step in found)
    again = METHODS["orthograd_tau"]()
    again.load_state_dict(method.state_dict())
    for one in (method, again):
        assert float(one._limited({"a": torch.tensor([1e9])})["a"]) == pytest.approx(2.75)


def test_early_steps_of_orthograd_tau_are_not_shortened():
    method = METHODS["orthograd_tau"]()
    for length in (1.0, 1e6, *[0.0] * 20, 1.0, 1e6):
        assert float(method._limited({"a": torch.tensor([length])})["a"]) == length

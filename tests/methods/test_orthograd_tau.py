"""OrthoGrad-τ: weights of utterances, targets by rank, the step, and its length."""

from dataclasses import replace

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.step_length import of_the_same_rank
from tests.support.toy_task import close, context, direction, gradients, prepared, softmax, step


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_orthograd_tau_ascends_a_loss_of_each_utterance(power):
    given = replace(context(), difficulty=1.5)
    method = prepared("orthograd_tau", given, target=2.0, power=power)
    # Two of either part: the easier one follows the easier unseen utterance.
    before = gradients(given, given.sources["forget"][0])[1]
    unseen = np.quantile(gradients(given, given.sources["unseen"][0])[1], [0.25, 0.75])
    targets = 3.0 * unseen[np.argsort(np.argsort(before))]
    weights = method.forget_weights(step(given))
    for losses in (np.array([0.1, 0.2]), 0.9 * targets, targets * [2, 0.5]):
        now = torch.tensor(losses + 1e-3, requires_grad=True)
        gap = (torch.tensor(targets + 1e-3) ** (1 - power) - now ** (1 - power)).relu()
        (-0.5 * gap**2).sum().backward()
        close(weights(torch.tensor(losses)), now.grad / now.grad.sum())
    assert (weights(torch.tensor(targets)) == 0).all()


def test_orthograd_tau_refuses_a_power_without_a_gradient():
    with pytest.raises(ValueError, match="power must be from 0 to below 1"):
        METHODS["orthograd_tau"](power=1.0)


@hypothesis.given(st.lists(st.floats(0, 9), min_size=1), st.lists(st.floats(0, 9), min_size=1))
def test_targets_of_the_same_rank_keep_the_order_and_the_distribution(losses, unseen):
    named = {str(i): loss for i, loss in enumerate(losses)}
    found = of_the_same_rank(named, unseen)
    order = sorted(named, key=lambda name: (named[name], name))
    assert [found[name] for name in order] == sorted(found.values())
    assert max(0, min(unseen)) <= max(found.values()) <= max(*unseen, 1e-6)
    again = of_the_same_rank(dict(zip("abc", [3, 1, 2], strict=True)), [10.0, 30.0, 20.0])
    assert (again["b"], again["c"], again["a"]) == pytest.approx((40 / 3, 20, 80 / 3))


def moved(given):
    """Scales the weights by 1.5; ∇ of the mean KL(original ‖ model) on the retain batch."""
    original = given.model.weight.detach().numpy().copy()
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    x = given.sources["retain"][0].inputs.numpy()
    p, q = softmax(1.5 * x @ original.T), softmax(x @ original.T)
    return ((p - q)[:, :, None] * x[:, None, :]).mean(0)


def test_orthograd_tau_only_descends_to_the_original_once_all_targets_are_reached():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean", alpha=0.25)
    method._targets = dict.fromkeys(method._targets, 1e-9)
    close(direction(method, step(given)), 0)
    close(0.25 * moved(given), direction(method, step(given)))


def test_orthograd_tau_takes_the_step_of_orthograd_with_its_weights():
    given = context()
    method = prepared("orthograd_tau", given, metric="euclidean", alpha=0.25)
    back = moved(given)
    rows, losses = gradients(given, given.sources["forget"][0])
    weights = method.forget_weights(step(given))(torch.tensor(losses)).numpy()
    u = (weights[:, None, None] * rows).sum(0).flatten()
    retained = gradients(given, given.sources["retain"][0])[0].reshape(3, -1)
    coefficients = np.linalg.lstsq(retained.T, u, rcond=1e-9)[0]
    expected = 0.25 * back.flatten() - 0.75 * (u - retained.T @ coefficients)
    np.testing.assert_allclose(
        direction(method, step(given)).flatten(), expected, rtol=1e-6, atol=1e-9
    )


def test_a_leap_of_orthograd_tau_is_shortened_to_the_usual_length():
    method = METHODS["orthograd_tau"]()
    unit = torch.tensor([0.6, 0.8])
    lengths = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 27.1, 26.9, 1e9]
    found = [method._without_leap({"a": n * unit[:1], "b": n * unit[1:]}) for n in lengths]
    taken = [float(torch.hypot(step["a"], step["b"])) for step in found]
    # The median of the first eight is 4.5, of nine 4.5, of ten (4.5 + 5) / 2.
    assert taken == pytest.approx([*lengths[:8], 4.5, 26.9, 4.75])
    assert all(float(step["b"] / step["a"]) == pytest.approx(4 / 3) for step in found)
    again = METHODS["orthograd_tau"]()
    again.load_state_dict(method.state_dict())
    for one in (method, again):
        assert float(one._without_leap({"a": torch.tensor([1e9])})["a"]) == pytest.approx(4.75)


def test_early_steps_of_orthograd_tau_are_not_shortened():
    method = METHODS["orthograd_tau"]()
    for length in (1.0, 1e6, 1.0, 1e6, *[0.0] * 20, 1.0):
        assert float(method._without_leap({"a": torch.tensor([length])})["a"]) == length


def test_the_metric_of_orthograd_tau_includes_the_descent_it_divides():
    """The descent may be large at the first step; divided by √v it is at most √2."""
    given = context()
    method = prepared("orthograd_tau", given, metric="adam", alpha=1.0, decay=0.0)
    back = moved(given)
    rows, losses = gradients(given, given.sources["forget"][0])
    weights = method.forget_weights(step(given))(torch.tensor(losses)).numpy()
    u = (weights[:, None, None] * rows).sum(0)
    close(direction(method, step(given)), back / (np.sqrt((u**2 + back**2) / 2) + 1e-8))

"""Every method's update equals one written out by hand, and avoids the known traps."""

import math
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from asr_unlearn.methods import METHODS, Step
from asr_unlearn.methods.distillation import divergence_from, untrained
from asr_unlearn.methods.orthograd_tau import of_the_same_rank
from asr_unlearn.methods.random_label import foreign_targets, relabelled
from asr_unlearn.methods.registry import make_method
from asr_unlearn.metrics.divergence import divergences
from tests.support.toy_task import PARTS, ToyModel, context, gradients, softmax, step


def begun(name, given, **options):
    method = METHODS[name](**options)
    method.freeze_parameters(given.task)
    method.prepare(given)
    return method


def direction(method, now):
    found = method.direction(now)
    assert set(found.gradient) == {"weight"}
    return found.gradient["weight"].numpy()


def mean_of(given, part):
    rows, losses = gradients(given, given.sources[part][0])
    return rows.mean(0), losses.mean()


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# ∇τ


def test_nabla_tau_squares_outside_the_relu_and_fades_out():
    given = context()
    method = begun("nabla_tau", given)
    (up, forget), (down, _) = mean_of(given, "forget"), mean_of(given, "retain")
    _, target = mean_of(given, "unseen")
    assert forget < target, "the toy must leave something to forget"
    for number in (0, 3, 6):
        alpha = 5 / 3 * 2 / 5 * (1 - number / 8)
        expected = -2 * alpha * (target - forget) * up + (1 - alpha) * down
        close(direction(method, step(given, number)), expected)


def test_nabla_tau_leaves_a_loss_above_the_target_alone():
    given = context()
    method = begun("nabla_tau", given)
    method._target = 0.0
    down, _ = mean_of(given, "retain")
    close(direction(method, step(given, 4)), (1 - 5 / 3 * 2 / 5 * 0.5) * down)


def test_nabla_tau_starts_from_all_ascent_when_little_is_retained():
    """Public code divides by len(retain) // len(forget), which is 0 here."""
    given = context(retain=1)
    method = begun("nabla_tau", given)
    (up, forget), (_, target) = mean_of(given, "forget"), mean_of(given, "unseen")
    close(direction(method, step(given)), -2 * (target - forget) * up)


def test_nabla_tau_measures_its_target_anew_after_five_passes_over_the_forget_set():
    """Two batches are a pass, whatever the retain set's passes are."""
    given = context(total=40, batch_size=1)
    assert given.sources["forget"].steps_per_epoch == 2
    assert given.sources["retain"].steps_per_epoch == 3
    method = begun("nabla_tau", given)
    before = method._target
    with torch.no_grad():
        given.model.weight.mul_(3)
    for number, changed in ((1, False), (9, False), (10, True)):
        method.direction(step(given, number))
        assert (method._target != before) == changed
    assert method._target == pytest.approx(given.unseen_loss())
    resumed = begun("nabla_tau", context(total=40))
    resumed.load_state_dict(method.state_dict())
    assert resumed._target == method._target


def test_nabla_tau_at_its_defaults_does_measure_its_target_anew(monkeypatch):
    method = METHODS["nabla_tau"]()
    given = context(total=method.steps(context(batch_size=2).sources), batch_size=2)
    measured = []
    monkeypatch.setattr(type(given), "unseen_loss", lambda _: measured.append(1) or 1.0)
    method.prepare(given)
    for number in range(given.total):
        method.direction(step(given, number))
    # Eight steps, of which five are five passes over the one batch of the forget set.
    assert (given.total, len(measured)) == (8, 2)


# SFR-on


def test_sfr_on_ascends_where_the_retain_set_knows_little():
    given = context()
    method = begun("sfr_on", given, gamma=1.5, lam=0.5, forget_scale=2.0, retain_steps=2)
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
    method = begun("sfr_on", given, beta=beta, retain_steps=1)
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


# Wrong labels


def test_foreign_targets_are_wrong_fit_and_come_from_the_retain_set():
    given = context()
    targets = foreign_targets(given)
    assert set(targets) == set(PARTS["forget"])
    # f1 is a 1, and with 15 samples too short for a 2.
    assert int(targets["f1"]) == 0
    assert int(targets["f0"]) in (1, 2)
    again = foreign_targets(context())
    assert all(torch.equal(again[name], target) for name, target in targets.items())


def test_foreign_targets_are_a_different_text_for_each_utterance():
    labels = {"f0": 9, "f1": 9, "r0": 0, "r1": 1, "r2": 1, "u0": 0, "u1": 0}
    for seed, retain in product(range(8), (2, 3)):
        drawn = foreign_targets(context(seed=seed, labels=labels, retain=retain))
        assert {int(t) for t in drawn.values()} == {0, 1}


def test_no_foreign_target_is_an_error_that_names_the_utterance():
    labels = {"f0": 0, "f1": 1, "r0": 1, "r1": 1, "r2": 2, "u0": 0, "u1": 0}
    with pytest.raises(ValueError, match="differs from f1's and fits"):
        foreign_targets(context(labels=labels))


def test_random_label_descends_on_the_wrong_targets():
    given = context()
    method = begun("random_label", given, alpha=0.25)
    batch = given.sources["forget"][0]
    wrong = torch.cat([method._targets[name] for name in batch.ids])
    rows, _ = gradients(given, batch, wrong)
    down, _ = mean_of(given, "retain")
    for number in (0, 5):
        close(direction(method, step(given, number)), 0.25 * down + 0.75 * rows.mean(0))
    changed = relabelled(batch, method._targets)
    assert changed.ids == batch.ids
    assert torch.equal(changed.targets[:, 0], wrong)


def test_salun_moves_only_the_salient_half():
    given = context(batch_size=1)  # The mean is over all batches, the first included.
    method = begun("salun", given, lr=0.1)
    rows = [gradients(given, given.sources["forget"][i])[0][0] for i in range(2)]
    saliency = np.abs(sum(rows) / 2)
    salient = saliency >= np.sort(saliency.flatten())[saliency.size // 2]
    assert salient.sum() == saliency.size // 2
    before = given.model.weight.detach().clone()
    optimizer = method.optimizer([given.model.weight])
    for number in range(5):
        given.model.weight.grad = method.direction(step(given, number)).gradient["weight"]
        optimizer.step()
    moved = (given.model.weight != before).numpy()
    np.testing.assert_array_equal(moved, salient)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_salun_moves_its_share_where_most_gradients_are_zero(share, monkeypatch):
    given = context()
    sparse = torch.zeros(3, 4, dtype=torch.float64)
    sparse[2, 1], sparse[0, 3] = -1.0, 0.5
    monkeypatch.setattr(type(given), "gradient", lambda *_: ({"weight": sparse.clone()}, None))
    masks = [begun("salun", given, share=share)._mask["weight"] for _ in range(2)]
    assert int(masks[0].sum()) == share * 12
    assert masks[0][2, 1]
    assert masks[0][0, 3]
    assert torch.equal(*masks)


# Teachers


def test_divergence_is_a_mean_over_true_frames_only():
    p, q = torch.tensor([[0.5, 0.5], [0.9, 0.1]]), torch.tensor([[0.25, 0.75], [0.2, 0.8]])
    true = torch.tensor([[True, True], [True, False]])
    stacked = torch.stack([p, p]).log(), torch.stack([q, q]).log()
    one = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(divergences(*stacked, true), torch.stack([one.mean(), one[0]]))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_softened_divergence_has_the_gradient_of_distillation(temperature):
    """T²·KL(q_T ‖ p_T) has the gradient T·(p_T − q_T) with respect to the logits."""
    given = context()
    teacher = untrained(given.task, seed=3)
    batch = given.sources["retain"][0]
    losses = divergence_from(teacher, given.task, temperature)
    found, _ = given.gradient(batch, losses=losses)
    x = batch.inputs.numpy()
    p, q = (softmax(x @ m.weight.detach().numpy().T / temperature)
            for m in (given.model, teacher.model))  # fmt: skip
    expected = (temperature * (p - q)[:, :, None] * x[:, None, :]).mean(0)
    close(found["weight"].numpy(), expected)


def test_bad_teacher_learns_from_an_untrained_model():
    given = context()
    method = begun("bad_teacher", given, alpha=0.25)
    bad = untrained(given.task, given.seed).model.weight.detach().numpy()
    original = given.model.weight.detach().numpy().copy()
    assert np.abs(bad - original).max() > 0.1
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    expected = 0
    for part, teacher, share in (("forget", bad, 0.75), ("retain", original, 0.25)):
        x = given.sources[part][0].inputs.numpy()
        p, q = softmax(x @ given.model.weight.detach().numpy().T), softmax(x @ teacher.T)
        expected = expected + share * ((p - q)[:, :, None] * x[:, None, :]).mean(0)
    close(direction(method, step(given)), expected)


def test_an_untrained_teacher_leaves_the_generators_alone():
    given = context()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    teacher = untrained(given.task, seed=0)
    assert torch.equal(torch.rand(3), expected)
    assert isinstance(teacher.model, ToyModel)
    assert not teacher.model.weight.requires_grad


def test_scrub_alternates_and_measures_when_an_epoch_ends():
    given = context(total=6)
    method = METHODS["scrub"](max_epochs=2, alpha=0.5, gamma=2.0, temperature=1.0)
    pace = method.steps_per_epoch(given.sources)
    assert pace == given.pace == 2
    method.prepare(given)
    original = given.model.weight.detach().numpy().copy()
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    pulls = {}
    for part in ("forget", "retain"):
        x = given.sources[part][0].inputs.numpy()
        p, q = softmax(x @ given.model.weight.detach().numpy().T), softmax(x @ original.T)
        pulls[part] = ((p - q)[:, :, None] * x[:, None, :]).mean(0)
    stay = 0.5 * pulls["retain"] + 2.0 * mean_of(given, "retain")[0]
    for number, expected in enumerate([-pulls["forget"], stay, -pulls["forget"], stay, stay]):
        close(direction(method, step(given, number)), expected)
    measured = [n for n in range(1, 7) if method.is_checked(n, given, every=1)]
    # The third epoch, and what would be a fourth, are one retain batch each.
    assert measured == [2, 4, 5, 6]


def test_an_epoch_of_scrub_without_a_maximising_pass_is_one_over_the_retain_set():
    given = context(batch_size=1)
    method = METHODS["scrub"](epochs=4.0, max_epochs=1)
    # 2 + 3 steps, then 3 an epoch.
    assert method.steps_per_epoch(given.sources) == 5
    total = method.steps(given.sources)
    assert total == 5 + 3 * 3
    given = replace(given, steps_per_epoch=5, total=total)
    method.prepare(given)
    drawn = []

    def draw(part):
        drawn.append(part)
        return given.sources[part][0]

    for number in range(total):
        method.direction(Step(given, number, draw))
    assert drawn == ["forget"] * 2 + ["retain"] * 12
    assert [n for n in range(1, 15) if method.is_checked(n, given, every=4)] == [5, 8, 11, 14]
    assert [method.epoch(n, given) for n in (5, 8, 14)] == [1, 2, 4]
    # As many epochs as before, however many of them maximise.
    for first, steps in ((0, 12), (4, 20), (9, 20)):
        assert METHODS["scrub"](epochs=4.0, max_epochs=first).steps(given.sources) == steps


# Penalties and masks


def test_selective_amnesia_holds_on_by_the_fisher_information():
    given = context()
    method = begun("selective_amnesia", given, gamma=2.0, lam=7.0)
    retained, _ = gradients(given, given.sources["retain"][0])
    fisher = (retained**2).mean(0)
    with torch.no_grad():
        given.model.weight.add_(0.1)
    batch = given.sources["forget"][0]
    wrong = torch.cat([method._targets[name] for name in batch.ids])
    surrogate = gradients(given, batch, wrong)[0].mean(0)
    expected = surrogate + 2.0 * mean_of(given, "retain")[0] + 2 * 7.0 * fisher * 0.1
    close(direction(method, step(given)), expected)


def test_l1_sparse_pulls_less_and_less():
    given = context()
    method = begun("l1_sparse", given, lam=0.5)
    down, _ = mean_of(given, "retain")
    signs = np.sign(given.model.weight.detach().numpy())
    for number in (0, 4, 7):
        expected = down + 0.5 * (1 - number / 8) * signs
        close(direction(method, step(given, number)), expected)


def test_ssd_dampens_what_matters_more_to_the_forget_set():
    given = context()
    method = begun("ssd", given, weakest=4.0, strongest=1.0, levels=3, lam=0.8)
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


def test_ssd_measures_only_levels_that_change_a_weight():
    given = context()
    method = begun("ssd", given, weakest=100.0, strongest=1.0, levels=9, lam=0.8)
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


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = (nn.Linear(2, 2) for _ in range(3))
        self.middle.bias.requires_grad_(False)


class DeepTask:
    def __init__(self):
        self.model = Deep()

    def layers(self):
        return [self.model.first, self.model.middle, self.model.last]


@pytest.mark.parametrize(
    ("layers", "left"),
    [
        (1, {"last.weight", "last.bias"}),
        (2, {"last.weight", "last.bias", "middle.weight"}),
        (3, {"last.weight", "last.bias", "middle.weight", "first.weight", "first.bias"}),
    ],
)
def test_cf_k_leaves_the_earlier_layers_and_what_was_frozen(layers, left):
    task = DeepTask()
    METHODS["cf_k"](layers=layers).freeze_parameters(task)
    assert {n for n, p in task.model.named_parameters() if p.requires_grad} == left


def test_cf_k_refuses_more_layers_than_there_are():
    with pytest.raises(ValueError, match="the model has 3 layers"):
        METHODS["cf_k"](layers=4).freeze_parameters(DeepTask())


# The union


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_orthograd_tau_ascends_a_loss_of_each_utterance(power):
    given = replace(context(), difficulty=1.5)
    method = begun("orthograd_tau", given, target=2.0, power=power)
    # Two of either kind: the easier one follows the easier stranger.
    before = gradients(given, given.sources["forget"][0])[1]
    strangers = np.quantile(gradients(given, given.sources["unseen"][0])[1], [0.25, 0.75])
    targets = 3.0 * strangers[np.argsort(np.argsort(before))]
    weights = method.forget_weights(step(given))
    for losses in (np.array([0.1, 0.2]), 0.9 * targets, targets * [2, 0.5]):
        known = torch.tensor(losses + 1e-3, requires_grad=True)
        lacking = (torch.tensor(targets + 1e-3) ** (1 - power) - known ** (1 - power)).relu()
        (-0.5 * lacking**2).sum().backward()
        close(weights(torch.tensor(losses)), known.grad / known.grad.sum())
    assert (weights(torch.tensor(targets)) == 0).all()


def test_orthograd_tau_refuses_a_power_without_a_gradient():
    with pytest.raises(ValueError, match="power must be from 0 to below 1"):
        METHODS["orthograd_tau"](power=1.0)


@hypothesis.given(st.lists(st.floats(0, 9), min_size=1), st.lists(st.floats(0, 9), min_size=1))
def test_the_strangers_of_the_same_rank_keep_the_order_and_the_distribution(losses, strangers):
    named = {str(i): loss for i, loss in enumerate(losses)}
    found = of_the_same_rank(named, strangers)
    order = sorted(named, key=lambda name: (named[name], name))
    assert [found[name] for name in order] == sorted(found.values())
    assert max(0, min(strangers)) <= max(found.values()) <= max(*strangers, 1e-6)
    again = of_the_same_rank(dict(zip("abc", [3, 1, 2], strict=True)), [10.0, 30.0, 20.0])
    assert (again["b"], again["c"], again["a"]) == pytest.approx((40 / 3, 20, 80 / 3))


def moved(given):
    """∇ of the mean KL(original ‖ model) on the retain batch, the model half as far again."""
    original = given.model.weight.detach().numpy().copy()
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    x = given.sources["retain"][0].inputs.numpy()
    p, q = softmax(1.5 * x @ original.T), softmax(x @ original.T)
    return ((p - q)[:, :, None] * x[:, None, :]).mean(0)


def test_orthograd_tau_only_goes_back_to_the_original_once_all_are_forgotten():
    given = context()
    method = begun("orthograd_tau", given, metric="euclidean", alpha=0.25)
    method._targets = dict.fromkeys(method._targets, 1e-9)
    close(direction(method, step(given)), 0)
    close(0.25 * moved(given), direction(method, step(given)))


def test_orthograd_tau_takes_the_step_of_orthograd_with_its_weights():
    given = context()
    method = begun("orthograd_tau", given, metric="euclidean", alpha=0.25)
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
    # Of nine the median is 4.5 with the shortened one, of ten 4.5 and 5 in the middle.
    assert taken == pytest.approx([*lengths[:8], 4.5, 26.9, 4.75])
    assert all(float(step["b"] / step["a"]) == pytest.approx(4 / 3) for step in found)
    again = METHODS["orthograd_tau"]()
    again.load_state_dict(method.state_dict())
    for one in (method, again):
        assert float(one._without_leap({"a": torch.tensor([1e9])})["a"]) == pytest.approx(4.75)


def test_early_steps_of_orthograd_tau_are_as_long_as_they_are():
    method = METHODS["orthograd_tau"]()
    for length in (1.0, 1e6, 1.0, 1e6, *[0.0] * 20, 1.0):
        assert float(method._without_leap({"a": torch.tensor([length])})["a"]) == length


def test_the_metric_of_orthograd_tau_knows_the_descent_it_divides():
    """What is descended along may be large at once; divided by √v it is at most √2 of 1."""
    given = context()
    method = begun("orthograd_tau", given, metric="adam", alpha=1.0, decay=0.0)
    back = moved(given)
    rows, losses = gradients(given, given.sources["forget"][0])
    weights = method.forget_weights(step(given))(torch.tensor(losses)).numpy()
    u = (weights[:, None, None] * rows).sum(0)
    close(direction(method, step(given)), back / (np.sqrt((u**2 + back**2) / 2) + 1e-8))


def test_every_method_is_written_out_here_or_beside():
    beside = {"finetune", "gradient_ascent", "neggrad_plus", "orthograd"}  # test_methods.py
    attention = {"attention_smoothing"}  # test_attention_smoothing.py
    text = Path(__file__).read_text(encoding="utf-8")
    for name in set(METHODS) - beside - attention:
        assert f'"{name}"' in text, name

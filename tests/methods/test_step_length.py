"""Steps as long as their predicted rise of the forget losses needs."""

import json
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.option_types import ranges
from asr_unlearn.methods.step_length import (
    FEWEST,
    POWER,
    RESERVE,
    SMALL,
    StepLength,
    StepLengthLimit,
    first_order,
    scaled_to,
)
from asr_unlearn.runtime.errors import InputError
from tests.support.killing import run_until_killed
from tests.support.tiny_training import tiny_training

BY_PREDICTION = [name for name, method in METHODS.items() if ranges(method)["lr"].word == "auto"]
numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5), st.floats(1e-3, 10))
def test_a_linear_loss_rises_by_what_is_wanted(pairs, wanted):
    slope, change = (torch.tensor(each, dtype=torch.float64) for each in zip(*pairs, strict=True))
    before = {"p": torch.ones_like(slope)}
    parameters = {"p": before["p"] + change}
    factor = scaled_to(wanted, parameters, before, {"p": -slope}, StepLengthLimit())
    rise = float(slope @ (parameters["p"] - before["p"]))
    if float(slope @ change) > 0:
        assert rise == pytest.approx(wanted, rel=1e-6)
        assert factor > 0
    else:
        assert rise == factor == 0


def test_a_step_that_hardly_raises_the_losses_is_no_longer_than_usual():
    """One mostly of descent on retain: for the rise that is wanted it would be very long."""
    slope, usual = torch.tensor([1.0, 0.0], dtype=torch.float64), StepLengthLimit()
    lengths = []
    for change in (*[[1.0, 0.0]] * FEWEST, [1e-3, 1.0]):
        before = {"p": torch.zeros_like(slope)}
        parameters = {"p": torch.tensor(change, dtype=torch.float64)}
        scaled_to(0.1, parameters, before, {"p": -slope}, usual)
        lengths.append(float(parameters["p"].norm()))
    assert lengths == pytest.approx([0.1] * (FEWEST + 1))
    assert usual.lengths == pytest.approx(lengths)


def test_what_changes_nothing_is_no_usual_step():
    usual = StepLengthLimit()
    assert [usual.share(length) for length in (0.0, 1.0, 0.0)] == [1, 1, 1]
    assert usual.lengths == [1.0]


def plan(original, targets, epochs=8.0):
    """The plan of utterances named by numbers."""
    named = [{str(i): loss for i, loss in enumerate(group)} for group in (original, targets)]
    return StepLength(*named, epochs)


def test_each_loss_goes_evenly_to_its_target_and_then_stays():
    length = plan([1 - SMALL, 0.5], [4 - SMALL, 0.25])
    # √ℓ goes from 1 to 2 in the 6 epochs before the reserve; the other is above its target.
    assert (POWER, RESERVE) == (0.5, 0.25)
    for epoch, root in ((0, 1), (1.5, 1.25), (3, 1.5), (6, 2), (8, 2)):
        first, second = length.planned(["0", "1"], epoch).tolist()
        assert first == pytest.approx(root**2 - SMALL)
        assert second == pytest.approx(0.5)


@given(st.floats(1e-5, 3), st.floats(1e-5, 3))
def test_a_change_of_the_logit_that_has_the_first_order_rise_reaches_the_aim(now, aim):
    """The loss of one decision, -log sigmoid(z): z changes by rise over slope."""
    now, aim = torch.tensor([now], dtype=torch.float64), torch.tensor([aim], dtype=torch.float64)
    rise = first_order(now, aim)
    z = -now.expm1().log()
    slope = -torch.sigmoid(-z)
    after = -torch.nn.functional.logsigmoid(z + rise / slope)
    torch.testing.assert_close(after, torch.maximum(now, aim), rtol=1e-6, atol=1e-9)


def test_a_step_raises_the_losses_to_where_they_ought_to_be_an_epoch_later():
    length = plan([0.1, 0.2, 0.3], [1.0, 1.0, 0.1])
    ids, weights = ["0", "1", "2"], torch.tensor([0.5, 0.25, 0.25])
    losses = length.planned(ids, 2.0)
    expected = weights.double() @ first_order(losses, length.planned(ids, 3.0))
    assert length.rise(ids, losses, weights, 2.0) == pytest.approx(float(expected))
    # A loss that other utterances' steps have raised beyond its plan is left alone.
    ahead = losses.clone()
    ahead[0] = length.planned(["0"], 3.5)[0]
    assert length.rise(["0"], ahead[:1], torch.ones(1), 2.0) == 0
    behind = length.rise(["0"], length.planned(["0"], 1.0), torch.ones(1), 2.0)
    assert behind > length.rise(["0"], losses[:1], torch.ones(1), 2.0)


def test_a_step_is_shortened_where_the_losses_rose_more_than_twice_the_plan():
    length = plan([0.1, 0.1], [1.0, 1.0])
    ids, weights = ["0", "1"], torch.tensor([1.0, 0.0])
    losses = length.planned(ids, 2.0)
    planned = float(losses[0]) - 0.1
    usual = length.rise(ids, losses, weights, 2.0)
    # Two losses are to have risen by twice `planned`; they rose by that times 2, and times 4.
    losses[1] += 2 * planned
    assert length.rise(ids, losses, weights, 2.0) == pytest.approx(usual)
    losses[1] += 4 * planned
    assert length.rise(ids, losses, weights, 2.0) == pytest.approx(usual / 2)


def weights(run):
    return {name: p.detach().clone() for name, p in run.task.model.named_parameters()}


@pytest.mark.parametrize("name", BY_PREDICTION)
def test_interrupted_equals_uninterrupted(name, corpus, tiny_config, tmp_path):
    options = {"lr": "auto", "epochs": 3, "forget_batch": 4}
    if hasattr(METHODS[name], "alpha"):
        # In a model that has not been trained, descent on others' losses lowers these too.
        options["alpha"] = 0.05
    if name == "simnpo":
        # Its weight of so high a loss is near 0.
        options["beta"] = 0.1
    known = {"unseen": {"an utterance": 5.0}}

    def make(folder):
        return tiny_training(corpus, tiny_config, folder, name, known=known, **options)

    whole = make(tmp_path / "whole")
    whole()
    run_until_killed(make(tmp_path / "part"), at=2)
    resumed = make(tmp_path / "part")
    resumed()
    assert weights(resumed).keys() == weights(whole).keys()
    for parameter, value in weights(resumed).items():
        torch.testing.assert_close(value, weights(whole)[parameter], rtol=0, atol=0)
    rows = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(row)["lr"] for row in rows]
    assert max(rates) > 0
    assert len(set(rates)) > 1


def test_other_methods_need_a_rate():
    others = [name for name in METHODS if name not in BY_PREDICTION]
    assert len(others) == 14
    assert len(BY_PREDICTION) == 7
    for name in others:
        with pytest.raises(InputError, match=f"{name}: lr must be above 0, not auto"):
            METHODS[name](lr="auto")


@pytest.mark.parametrize("name", BY_PREDICTION)
def test_planned_epochs_are_passes_over_the_forget_set(name):
    sources = {
        part: SimpleNamespace(steps_per_epoch=steps)
        for part, steps in (("forget", 3), ("retain", 7))
    }
    planned = METHODS[name](lr="auto", epochs=6)
    assert planned.steps(sources) == 18
    with_a_rate = METHODS["nabla_tau"](lr=1e-3, epochs=6)
    assert with_a_rate.steps(sources) == 42

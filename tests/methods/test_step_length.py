"""Steps as long as their predicted rise of the forget losses needs."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.methods import METHODS
from asr_unlearn.methods.step_length import POWER, RESERVE, SMALL, StepLength, scaled_to
from asr_unlearn.runtime.errors import InputError
from tests.support.killing import run_until_killed
from tests.support.tiny_training import tiny_training

BY_PREDICTION = ["gradient_ascent", "nabla_tau", "neggrad_plus", "orthograd", "orthograd_tau"]
numbers = st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5), st.floats(1e-3, 10))
def test_a_linear_loss_rises_by_what_is_wanted(pairs, wanted):
    slope, change = (torch.tensor(each, dtype=torch.float64) for each in zip(*pairs, strict=True))
    before = {"p": torch.ones_like(slope)}
    parameters = {"p": before["p"] + change}
    factor = scaled_to(wanted, parameters, before, {"p": -slope})
    rise = float(slope @ (parameters["p"] - before["p"]))
    if float(slope @ change) > 0:
        assert rise == pytest.approx(wanted, rel=1e-6)
        assert factor > 0
    else:
        assert rise == factor == 0


def test_each_utterance_goes_its_share_of_the_way():
    length = StepLength({"a": 4 - SMALL, "b": 1.0, "c": 0.25}, epochs=8.0)
    losses, weights = torch.tensor([1 - SMALL, 1.0, 0.5]), torch.tensor([0.5, 0.25, 0.25])
    # √ℓ goes from 1 to 2 in the 6 visits before the reserve; b and c are at their targets or above.
    assert (POWER, RESERVE) == (0.5, 0.25)
    expected = 0.5 * ((1 + 1 / 6) ** 2 - 1)
    assert length.wanted(["a", "b", "c"], losses, weights) == pytest.approx(expected, rel=1e-5)
    length.wanted(["a"], torch.tensor([1 - SMALL]), torch.ones(1))
    assert length.visits == {"a": 2, "b": 1, "c": 1}


def test_the_last_visits_go_most_of_the_way_and_not_all():
    length = StepLength({"a": 4 - SMALL}, epochs=2.0)
    for _ in range(5):
        wanted = length.wanted(["a"], torch.tensor([1 - SMALL]), torch.ones(1))
    assert wanted == pytest.approx((1 + 1 / 1.5) ** 2 - 1, rel=1e-5)


def test_steps_are_shortened_after_a_rise_of_more_than_twice_the_expected():
    length = StepLength({"a": 4 - SMALL}, epochs=8.0)
    wanted = length.wanted(["a"], torch.tensor([1 - SMALL]), torch.ones(1))
    length.wanted(["a"], torch.tensor([1 - SMALL + 1.9 * wanted]), torch.ones(1))
    assert length.shortened == 1
    before, expected = length.expected["a"]
    length.wanted(["a"], torch.tensor([before - SMALL + 4 * (expected - before)]), torch.ones(1))
    assert length.shortened == pytest.approx(0.5, rel=1e-5)


def test_the_state_is_restored():
    length = StepLength({"a": 2.0}, epochs=8.0)
    length.wanted(["a"], torch.tensor([1.0]), torch.ones(1))
    other = StepLength({"a": 2.0}, epochs=8.0)
    other.load_state_dict(json.loads(json.dumps(length.state_dict())))
    assert other == length


def weights(run):
    return {name: p.detach().clone() for name, p in run.task.model.named_parameters()}


@pytest.mark.parametrize("name", BY_PREDICTION)
def test_interrupted_equals_uninterrupted(name, corpus, tiny_config, tmp_path):
    options = {"lr": "auto", "epochs": 3, "forget_batch": 4}
    if hasattr(METHODS[name], "alpha"):
        # In a model that has not been trained, descent on others' losses lowers these too.
        options["alpha"] = 0.05
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
    assert len(others) == 11
    for name in others:
        with pytest.raises(InputError, match=f"{name}: lr must be above 0, not auto"):
            METHODS[name](lr="auto")

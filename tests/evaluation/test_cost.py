"""What a run cost, and what share of retraining that is."""

from asr_unlearn.evaluation.cost import cost_of


def run(name, kind="train", parts=("retain",), seconds=10.0, passes=100):
    options = {"parts": list(parts)} if kind == "train" else {}
    costs = {"steps": {"seconds": seconds, "forward": passes, "backward": 0}}
    made = {"name": name, "kind": kind, "seconds": seconds, "steps": 5, "parameters": 7}
    return {**made, "options": options, "costs": costs, "stopped": "after all 5 steps"}


def shares(of, retrained):
    cost = cost_of(of, retrained)["cost"]
    names = ("relative_to_retraining", "passes_relative_to_retraining")
    return tuple(cost.get(name) for name in names)


def test_unlearning_and_another_retraining_have_a_share_of_the_whole_one():
    whole = run("retrained", seconds=40.0, passes=200)
    assert shares(run("npo", "unlearn"), whole) == (0.25, 0.5)
    assert shares(run("retrained_short"), whole) == (0.25, 0.5)
    assert shares(whole, whole) == (None, None)
    assert shares(run("original", parts=("retain", "forget")), whole) == (None, None)


def test_without_a_retrained_model_there_is_no_share():
    assert shares(run("npo", "unlearn"), {}) == (None, None)
    assert shares(run("other"), {}) == (None, None)
    assert cost_of({}, run("retrained")) == {}

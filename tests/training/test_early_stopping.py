"""A run ends where the forget set's score reaches the target, with the nearest weights."""

import pytest
import torch

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training import early_stopping
from asr_unlearn.training.interpolation import HALVINGS, between
from asr_unlearn.training.stop_rule import StopRule
from tests.support.tiny_training import tiny_training

RULE = StopRule(target=MeanScore(loss=1.0, cer=0.5), every=1)
APPROACH = [MeanScore(0.1, 0.0), MeanScore(0.5, 0.2), MeanScore(0.9, 0.45), MeanScore(3.0, 0.9)]


def make(corpus, config, folder, name="gradient_ascent", stop=RULE):
    options = {"lr": 1e-3, "epochs": 4, "retain_batch": 4, "forget_batch": 4}
    return tiny_training(corpus, config, folder, name, stop=stop, **options)


def weights(run):
    return {name: tensor.clone() for name, tensor in run.task.model.state_dict().items()}


def scripted(scores, monkeypatch):
    """Let the checks measure these scores, one each."""
    queue = iter(scores)
    monkeypatch.setattr(early_stopping, "group_score", lambda *_, **__: next(queue))


def remembering(run, monkeypatch):
    """The weights after each step of a run that is not yet begun."""
    found = {}
    check = run.early_stopping.check

    def spy(step, known=None):
        found[step] = weights(run)
        return check(step, known)

    monkeypatch.setattr(run.early_stopping, "check", spy)
    return found


def test_stops_at_the_first_figure_and_interpolates_back_to_the_target(
    corpus, tiny_config, tmp_path, monkeypatch
):
    halfway = [
        MeanScore(2.0, 0.7),
        MeanScore(0.95, 0.5),
        MeanScore(0.92, 0.46),
        MeanScore(0.94, 0.47),
    ]
    scripted([*APPROACH, *halfway], monkeypatch)
    run = make(corpus, tiny_config, tmp_path)
    after = remembering(run, monkeypatch)
    outcome = run()
    assert outcome.steps == 3
    assert outcome.kept_step == 2.25
    reached = "forget loss 3.000 reached the target 1.000"
    assert outcome.stopped == f"{reached}; nearest between steps 2 and 3, and kept there"
    for key, tensor in weights(run).items():
        assert torch.equal(tensor, between(after[2][key], after[3][key], 0.25)), key


@pytest.mark.parametrize("on", ["any", "cer", "all"])
def test_without_transcripts_far_below_the_target_an_overshoot_goes_back_too(
    on, corpus, tiny_config, tmp_path, monkeypatch
):
    """Whisper's error rate is not measured there: the last such check is the end to go back to."""
    beyond = [MeanScore(3.0, 0.9)] * (1 + HALVINGS)
    scripted(
        [MeanScore(0.1, None), MeanScore(0.2, None), MeanScore(0.3, None), *beyond], monkeypatch
    )
    rule = StopRule(target=MeanScore(loss=1.0, cer=0.5), on=on, every=1)
    run = make(corpus, tiny_config, tmp_path, stop=rule)
    after = remembering(run, monkeypatch)
    kept = run().kept_step
    assert 2 <= kept < 3
    for key, tensor in weights(run).items():
        assert torch.equal(tensor, between(after[2][key], after[3][key], kept - 2)), key


def test_keeps_the_step_before_if_no_point_between_is_nearer(
    corpus, tiny_config, tmp_path, monkeypatch
):
    scripted([*APPROACH, *[MeanScore(3.0, 0.9)] * HALVINGS], monkeypatch)
    run = make(corpus, tiny_config, tmp_path)
    after = remembering(run, monkeypatch)
    outcome = run()
    assert outcome.kept_step == 2
    assert outcome.stopped.endswith("; step 2 of 3 was nearer and is kept")
    assert all(torch.equal(t, after[2][k]) for k, t in weights(run).items())


def test_an_overshoot_in_the_first_step_interpolates_towards_the_original(
    corpus, tiny_config, tmp_path, monkeypatch
):
    scripted([MeanScore(0.9, 0.45), *[MeanScore(9.0, 1.0)] * (1 + HALVINGS)], monkeypatch)
    run = make(corpus, tiny_config, tmp_path)
    after = remembering(run, monkeypatch)
    assert run().kept_step == 0.5**HALVINGS
    for key, tensor in weights(run).items():
        assert torch.equal(tensor, between(after[0][key], after[1][key], 0.5**HALVINGS)), key


def test_a_run_that_is_killed_while_interpolating_interpolates_again(
    corpus, tiny_config, tmp_path, monkeypatch
):
    halfway = [
        MeanScore(2.0, 0.7),
        MeanScore(0.95, 0.5),
        MeanScore(0.92, 0.46),
        MeanScore(0.94, 0.47),
    ]

    def run_with(scores, folder):
        scripted(scores, monkeypatch)
        run = make(corpus, tiny_config, folder)
        return run, run()

    whole, expected = run_with([*APPROACH, *halfway], tmp_path / "whole")
    # The scores run out: as good as a kill.
    with pytest.raises(StopIteration):
        run_with([*APPROACH, *halfway[:2]], tmp_path / "killed")
    resumed, found = run_with(halfway, tmp_path / "killed")
    assert (found.kept_step, found.stopped) == (expected.kept_step, expected.stopped)
    known = weights(whole)
    assert all(torch.equal(t, known[k]) for k, t in weights(resumed).items())


@pytest.mark.parametrize(("last", "missed"), [(0.4, True), (0.92, False)])
def test_a_run_that_ends_far_below_its_target_says_so(
    last, missed, corpus, tiny_config, tmp_path, monkeypatch
):
    scripted([MeanScore(0.1, 0.0)] + [MeanScore(last, 0.3)] * 12, monkeypatch)
    warning = make(corpus, tiny_config, tmp_path)().warning
    assert bool(warning) == missed
    if warning:
        assert "the forget loss is 0.4, 0.1 before, and 1 was wanted" in warning


def test_nothing_to_forget_ends_before_the_first_step(corpus, tiny_config, tmp_path, monkeypatch):
    scripted([MeanScore(1.2, 0.0)], monkeypatch)
    rule = StopRule(target=MeanScore(loss=1.0, cer=0.5))
    run = make(corpus, tiny_config, tmp_path, stop=rule)
    before = weights(run)
    assert run().steps == 0
    assert all(torch.equal(t, before[k]) for k, t in weights(run).items())


def test_two_copies_of_the_nearest_weights_are_kept_at_most(
    corpus, tiny_config, tmp_path, monkeypatch
):
    """That of the newest checkpoint, and that of the nearest step since."""
    scripted([MeanScore(0.01 * step, 0.0) for step in range(9)], monkeypatch)
    run = make(corpus, tiny_config, tmp_path)
    run.checkpoint_seconds = 1e9
    found, check = [], run.early_stopping.check

    def spy(step, known=None):
        figures = check(step, known)
        if step == 2:
            run.state.save()
        found.append(sorted(path.stem for path in tmp_path.glob("best-*.weights")))
        return figures

    monkeypatch.setattr(run.early_stopping, "check", spy)
    run()
    assert found[:3] == [["best-0"], ["best-1"], ["best-2"]]
    assert found[3:5] == [["best-2", "best-3"], ["best-2", "best-4"]]
    assert len(found) > 5

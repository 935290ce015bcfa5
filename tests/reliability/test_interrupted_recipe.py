"""A recipe that is killed after it has published a model and before it has noted it."""

import json

import pytest

from asr_unlearn.cli import stages
from asr_unlearn.cli.plan import RecipeStep


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A command that publishes a model, and how often it has run."""
    command = RecipeStep(3, "original", ["train"], [], tmp_path / "original")
    times = []

    def train(command, *, debug=False):
        times.append(command.name)
        command.leaves.mkdir(exist_ok=True)
        (command.leaves / "run.json").write_text(json.dumps({"created": len(times)}))

    monkeypatch.setattr(stages, "run", train)
    return command, times


def killed(*_, **__):
    raise KeyboardInterrupt


def test_a_model_that_was_published_is_not_trained_again(trained, tmp_path, monkeypatch, capsys):
    command, times = trained
    with monkeypatch.context() as patch:
        patch.setattr("asr_unlearn.runtime.cache.Cached.save", killed)
        with pytest.raises(KeyboardInterrupt):
            stages.run_stage(command, tmp_path)
    stages.run_stage(command, tmp_path)
    assert "was complete, and is noted now" in capsys.readouterr().out
    stages.run_stage(command, tmp_path)
    assert len(times) == 1
    assert not list(tmp_path.glob(".*.begun"))


@pytest.mark.parametrize("begun", ["", "[]", '{"key": 1}', None])
def test_another_model_is_trained(begun, trained, tmp_path):
    """What was there before the run began, or a note that is damaged, counts for nothing."""
    command, times = trained
    command.leaves.mkdir()
    (command.leaves / "run.json").write_text("{}")
    if begun is None:
        stages._note_begin(command, tmp_path)
    else:
        (tmp_path / ".original.begun").write_text(begun)
    stages.run_stage(command, tmp_path)
    assert len(times) == 1

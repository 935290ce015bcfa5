"""A model is published whole or not at all, and an interrupted run continues."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock

from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.training import run_folder
from asr_unlearn.training.checkpoint import (
    checkpoints,
    damage,
    load_checkpoint,
    save_checkpoint,
    save_weights,
    set_aside_damaged,
)
from asr_unlearn.training.run_folder import RunFolder
from tests.support.flags import flags


@pytest.fixture
def train(corpus, tiny_config, tmp_path):
    """Train for two epochs into a folder; returns it."""

    def run(name="model", **options):
        data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
        chosen = flags("finetune", **{"epochs": 2} | options)
        model = ["--model", str(tiny_config), "--parts", "retain,forget"]
        main(["train", *data, *model, "--out", str(tmp_path / name), *chosen])
        return tmp_path / name

    return run


def in_reverse(manifest):
    return [replace(u, text=u.text[::-1]) for u in read_manifest(manifest)]


def steps(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_nothing_but_the_model_is_left(train):
    folder = train()
    left = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "config.json", "run.json", "metrics.jsonl"} <= left
    assert not {name for name in left if name.startswith(("best", "checkpoint", "stamp", "lock"))}
    assert [path.name for path in folder.parent.iterdir() if "model" in path.name] == ["model"]


def test_two_runs_do_not_write_to_one_place(train, tmp_path):
    with (
        FileLock(tmp_path / "model.lock"),
        pytest.raises(ValueError, match="another process is at work in"),
    ):
        train()
    assert not (tmp_path / "model").exists()
    assert train().exists()


def test_a_kill_before_publishing_costs_no_step(train, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "publish_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        train()
    monkeypatch.undo()
    monkeypatch.setattr(
        "asr_unlearn.training.trainer.Training._step", lambda *_: pytest.fail("a step")
    )
    folder = train()
    assert steps(folder) == list(range(1, steps(folder)[-1] + 1))


@pytest.mark.parametrize("change", ["options", "format", "transcripts"])
def test_a_run_of_another_key_is_not_resumed(change, train, monkeypatch, tmp_path):
    monkeypatch.setattr(run_folder, "publish_folder", lambda *_: pytest.fail("published"))
    with pytest.raises(pytest.fail.Exception):
        train()
    monkeypatch.undo()
    (tmp_path / "model.partial" / "left").write_text("behind")
    if change == "format":
        monkeypatch.setattr(run_folder, "FORMAT", "another")
    if change == "transcripts":
        monkeypatch.setattr("asr_unlearn.data.corpus.read_manifest", in_reverse)
    folder = train(**({"lr": 1e-3} if change == "options" else {}))
    assert not (folder / "left").exists()
    assert steps(folder)[0] == 1


def test_speakers_it_was_not_trained_on_are_not_unlearned(train, corpus, tmp_path):
    """To an untrained model every speaker is unseen."""
    original = train(epochs=1, lr=1e-9)
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["unlearn", *data, "--model", str(original), "--out", str(tmp_path / "forgotten")]
    argv += ["--method", "gradient_ascent", "--stop.tolerance", "0.5"]
    with pytest.raises(ValueError, match=r"nothing was unlearned: forget loss .* never trained on"):
        main(argv)
    assert not (tmp_path / "forgotten").exists()
    main([*argv, "--stop.rule", "steps", "--method.epochs", "1"])


def test_the_original_is_not_published_as_unlearned(train, corpus, tmp_path):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["unlearn", *data, "--model", str(train()), "--out", str(tmp_path / "forgotten")]
    argv += [
        "--method",
        "ssd",
        "--method.weakest",
        "1e9",
        "--method.strongest",
        "1e8",
        "--stop.rule",
        "steps",
    ]
    with pytest.raises(ValueError, match=r"nothing was unlearned: ssd .* weight is unchanged"):
        main(argv)
    assert not (tmp_path / "forgotten").exists()


@pytest.mark.parametrize("name", ["state.pt", "model.safetensors"])
@pytest.mark.parametrize("left", [0, 100, 0.5])
def test_a_damaged_checkpoint_is_named_and_the_run_begins_anew(
    name, left, train, monkeypatch, caplog, tmp_path
):
    whole = (train("whole") / "model.safetensors").read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "publish_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        train()
    monkeypatch.undo()
    (damaged,) = (tmp_path / "model.partial").glob(f"checkpoint-*/{name}")
    content = damaged.read_bytes()
    damaged.write_bytes(content[: int(left * len(content)) if left < 1 else left])
    damaged_size = damaged.stat().st_size
    folder = train()
    said = "\n".join(caplog.messages)
    assert re.search(rf"^{damaged} is damaged \(.+\): its checkpoint is now .*anew", said, re.M)
    (aside,) = tmp_path.glob("model.partial.damaged-checkpoint-*")
    assert (aside / name).stat().st_size == damaged_size
    assert (folder / "model.safetensors").read_bytes() == whole
    assert steps(folder) == list(range(1, steps(folder)[-1] + 1))


def test_lost_weights_that_a_checkpoint_refers_to_count_as_damage(tmp_path):
    """The weights of the step nearest to the target lie beside it."""
    model = torch.nn.Linear(2, 2)
    for step in (1, 2):
        save_checkpoint(tmp_path, model, {"step": step, "early_stopping": {"nearest": 1}})
    (checkpoint,) = checkpoints(tmp_path)
    assert str(tmp_path / "best-1.safetensors") in damage(checkpoint)
    save_weights(model, tmp_path / "best-1.safetensors")
    assert damage(checkpoint) is None


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_one(tmp_path, caplog):
    tmp_path = tmp_path / "model.partial"
    model = torch.nn.Linear(2, 2)
    save_checkpoint(tmp_path, model, {"step": 1})
    shutil.copytree(*(tmp_path / f"checkpoint-00000000{step}" for step in (1, 2)))
    (tmp_path / "checkpoint-000000002" / "state.pt").write_bytes(b"")
    set_aside_damaged(tmp_path)
    assert "checkpoint-000000002/state.pt is damaged" in caplog.text
    assert load_checkpoint(tmp_path, model) == {"step": 1}


def test_the_lock_is_released_after_an_error(tmp_path):
    task = SimpleNamespace(model=torch.nn.Linear(2, 2))
    options = {"kind": "train", "seed": 0, "options": {}, "data": {}}

    def fail():
        with RunFolder(tmp_path / "out", task, **options) as run:
            (run.path / "work").write_text("done")
            with pytest.raises(ValueError, match="another process is at work"):
                RunFolder(run.out, task, **options).__enter__()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with RunFolder(tmp_path / "out", task, **options) as run:
        assert (run.path / "work").read_text() == "done"
    with RunFolder(tmp_path / "out", task, **options | {"seed": 1}) as run:
        assert not (run.path / "work").exists()

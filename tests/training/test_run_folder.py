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
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.training import run_folder
from asr_unlearn.training.checkpoint import (
    best_weights,
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


def interrupt(train, monkeypatch, **options):
    """Interrupt a training before its model is published; returns the folder it worked in."""
    worked_in = []

    def killed(partial, final):
        worked_in.append(partial)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "publish_folder", killed)
        with pytest.raises(KeyboardInterrupt):
            train(**options)
    return worked_in[0]


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


def test_the_record_holds_the_weights_of_the_model_alone(train, monkeypatch):
    worked_in = interrupt(train, monkeypatch)
    save_weights(torch.nn.Linear(2, 2), best_weights(worked_in, 1))
    # As safetensors leaves it when it is killed.
    (worked_in / ".tmp0bJ9dk").write_bytes(b"half")
    folder = train()
    assert not [*folder.glob("best-*"), *folder.glob(".*")]
    run = json.loads((folder / "run.json").read_text())
    assert run["weights"] == SavedModel.at(folder).weights()
    assert list(run["weights"]) == ["model.safetensors"]


def test_two_runs_do_not_write_to_one_place(train, tmp_path):
    with (
        FileLock(tmp_path / ".model.lock"),
        pytest.raises(ValueError, match="another process is at work on"),
    ):
        train()
    assert not (tmp_path / "model").exists()
    assert train().exists()


def test_a_kill_before_publishing_costs_no_step(train, monkeypatch):
    interrupt(train, monkeypatch)
    monkeypatch.setattr(
        "asr_unlearn.training.trainer.Training._step", lambda *_: pytest.fail("a step")
    )
    folder = train()
    assert steps(folder) == list(range(1, steps(folder)[-1] + 1))


@pytest.mark.parametrize("change", ["options", "format", "transcripts"])
def test_a_run_of_another_key_is_kept_and_named(change, train, monkeypatch, caplog, tmp_path):
    interrupted = interrupt(train, monkeypatch)
    (interrupted / "left").write_text("behind")
    content = {path: path.read_bytes() for path in interrupted.rglob("*") if path.is_file()}
    if change == "format":
        monkeypatch.setattr(run_folder, "FORMAT", "another")
    if change == "transcripts":
        monkeypatch.setattr("asr_unlearn.data.corpus.read_manifest", in_reverse)
    folder = train(**({"lr": 1e-3} if change == "options" else {}))
    assert not (folder / "left").exists()
    assert steps(folder)[0] == 1
    assert {path: path.read_bytes() for path in content} == content
    (said,) = [line for line in caplog.messages if "interrupted run" in line]
    assert said.startswith(f"{interrupted}: an interrupted run of `asr-unlearn train --manifest ")
    assert said.endswith("`, which resumes it; or delete it")


def test_each_of_two_interrupted_commands_resumes_its_own(train, monkeypatch, tmp_path):
    whole = {lr: (train(f"whole-{lr}", lr=lr) / "model.safetensors").read_bytes() for lr in (1, 2)}
    for lr in whole:
        interrupt(train, monkeypatch, lr=lr)
    assert len(list(tmp_path.glob("model.*.partial"))) == 2
    monkeypatch.setattr(
        "asr_unlearn.training.trainer.Training._step", lambda *_: pytest.fail("a step")
    )
    for lr, weights in whole.items():
        assert (train(lr=lr) / "model.safetensors").read_bytes() == weights
    assert list(tmp_path.glob("model.*.partial")) == []


def test_a_run_that_failed_before_its_first_checkpoint_leaves_nothing(train, monkeypatch, tmp_path):
    def fail(*_):
        raise ValueError("no step")

    monkeypatch.setattr("asr_unlearn.training.trainer.Training._step", fail)
    with pytest.raises(ValueError, match="no step"):
        train()
    assert list(tmp_path.glob("model*")) == []


def test_a_file_with_the_plain_name_of_the_lock_is_left_alone(train, tmp_path):
    (tmp_path / "poetry.lock").write_text("somebody's")
    train("poetry")
    assert (tmp_path / "poetry.lock").read_text() == "somebody's"


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
@pytest.mark.parametrize("left", [0, 100, 0.5, "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_run_begins_anew(
    name, left, train, monkeypatch, caplog, tmp_path
):
    whole = (train("whole") / "model.safetensors").read_bytes()

    (damaged,) = interrupt(train, monkeypatch).glob(f"checkpoint-*/{name}")
    content = damaged.read_bytes()
    if left == "flipped":
        damaged.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    else:
        damaged.write_bytes(content[: int(left * len(content)) if left < 1 else left])
    damaged_size = damaged.stat().st_size
    folder = train()
    said = "\n".join(caplog.messages)
    assert re.search(rf"^{damaged} is damaged \(.+\): its checkpoint is now .*anew", said, re.M)
    (aside,) = tmp_path.glob("model.*.partial.damaged-checkpoint-*")
    assert (aside / name).stat().st_size == damaged_size
    assert (folder / "model.safetensors").read_bytes() == whole
    assert steps(folder) == list(range(1, steps(folder)[-1] + 1))


def test_lost_weights_that_a_checkpoint_refers_to_count_as_damage(tmp_path):
    """The weights of the step nearest to the target lie beside it."""
    model, best = torch.nn.Linear(2, 2), tmp_path / "best-1.weights"
    save_weights(model, best)
    for step in (1, 2):
        save_checkpoint(tmp_path, model, {"step": step, "early_stopping": {"nearest": 1}})
    (checkpoint,) = checkpoints(tmp_path)
    assert damage(checkpoint) is None
    best.unlink()
    assert damage(checkpoint) == f"{best} is damaged (there is no such file)"
    save_weights(torch.nn.Linear(2, 2), best)
    assert damage(checkpoint) == f"{best} is damaged (its content has changed)"


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "sha256.json", "../best-1"])
def test_every_flipped_bit_counts_as_damage(name, tmp_path):
    model = torch.nn.Linear(2, 2)
    save_weights(model, tmp_path / "best-1.weights")
    save_checkpoint(tmp_path, model, {"step": 1, "early_stopping": {"nearest": 1}})
    (checkpoint,) = checkpoints(tmp_path)
    file = checkpoint / (f"{name}.weights" if name.startswith("..") else name)
    whole = file.read_bytes()
    assert damage(checkpoint) is None
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert damage(checkpoint)
    file.write_bytes(whole)
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
            (run.path / "checkpoint-000000001").mkdir()
            with pytest.raises(ValueError, match="another process is at work"):
                RunFolder(run.out, task, **options).__enter__()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with RunFolder(tmp_path / "out", task, **options) as run:
        assert checkpoints(run.path)
    with RunFolder(tmp_path / "out", task, **options | {"seed": 1}) as run:
        assert not checkpoints(run.path)

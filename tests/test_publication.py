"""A model stands whole or not at all, and what was done for it is not lost."""

import json
from dataclasses import replace

import pytest
from filelock import FileLock

from asr_unlearn import publication
from asr_unlearn.cli import main
from asr_unlearn.manifest import read_manifest
from asr_unlearn.publication import LOCK


@pytest.fixture
def train(corpus, tiny_config, tmp_path):
    """Train for two epochs into a folder; returns it."""

    def run(name="model", **options):
        data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
        chosen = ",".join(f"{k}={v}" for k, v in ({"epochs": 2} | options).items())
        model = ["--model", str(tiny_config), "--parts", "retain,forget"]
        main(["train", *data, *model, "--out", str(tmp_path / name), "--set", chosen])
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
    assert not folder.with_name("model.partial").exists()


def test_two_runs_do_not_write_to_one_place(train, tmp_path):
    work = tmp_path / "model.partial"
    work.mkdir()
    with FileLock(work / LOCK), pytest.raises(ValueError, match="another process is at work in"):
        train()
    assert not (tmp_path / "model").exists()
    assert train().exists()


def test_a_kill_before_the_model_stands_costs_no_step(train, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publication, "publish_folder", killed)
    with pytest.raises(KeyboardInterrupt):
        train()
    monkeypatch.undo()
    monkeypatch.setattr("asr_unlearn.training.Training._step", lambda *_: pytest.fail("a step"))
    folder = train()
    assert steps(folder) == list(range(1, steps(folder)[-1] + 1))


@pytest.mark.parametrize("change", ["options", "format", "transcripts"])
def test_work_of_another_kind_is_not_taken_up(change, train, monkeypatch, tmp_path):
    monkeypatch.setattr(publication, "publish_folder", lambda *_: pytest.fail("published"))
    with pytest.raises(pytest.fail.Exception):
        train()
    monkeypatch.undo()
    (tmp_path / "model.partial" / "left").write_text("behind")
    if change == "format":
        monkeypatch.setattr(publication, "FORMAT", "another")
    if change == "transcripts":
        monkeypatch.setattr("asr_unlearn.corpus.read_manifest", in_reverse)
    folder = train(**({"lr": 1e-3} if change == "options" else {}))
    assert not (folder / "left").exists()
    assert steps(folder)[0] == 1


def test_strangers_are_not_unlearned(train, corpus, tmp_path):
    """To a model that is as it was made everybody is a stranger."""
    original = train(epochs=1, lr=1e-9)
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["unlearn", *data, "--model", str(original), "--out", str(tmp_path / "forgotten")]
    argv += ["--method", "gradient_ascent", "--stop.tolerance", "0.5"]
    with pytest.raises(ValueError, match=r"nothing was unlearned: forget loss .* never met"):
        main(argv)
    assert not (tmp_path / "forgotten").exists()
    main([*argv, "--stop.rule", "steps", "--set", "epochs=1"])


def test_the_original_is_not_published_as_unlearned(train, corpus, tmp_path):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["unlearn", *data, "--model", str(train()), "--out", str(tmp_path / "forgotten")]
    argv += ["--method", "ssd", "--set", "weakest=1e9,strongest=1e8", "--stop.rule", "steps"]
    with pytest.raises(ValueError, match=r"nothing was unlearned: ssd .* every weight is as"):
        main(argv)
    assert not (tmp_path / "forgotten").exists()

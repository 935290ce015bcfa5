"""The trainings of a recipe side by side: the same models, each after what it reads."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr_unlearn.cli import side_by_side
from asr_unlearn.cli.plan import Plan, RecipeStep
from asr_unlearn.cli.recipe import read_recipe
from asr_unlearn.cli.side_by_side import dependencies, run_side_by_side
from asr_unlearn.cli.stages import TRAINING, run_stage
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.runner import LoggedCall, Runner

RECIPES = Path(__file__).parents[2] / "recipes"
TWO = Runner("local", 2, ())
CPU = torch.device("cpu")


def test_every_training_waits_for_what_it_reads(tmp_path):
    recipe = read_recipe(RECIPES / "an4" / "recipe.yaml")
    folders = {seed: tmp_path / f"seed{seed}" for seed in (0, 1)}
    plan = Plan(recipe, "model", Path("data"), tmp_path, folders=folders, device="cpu")
    steps = plan.commands()
    found = {
        steps[number].name: {steps[other].name for other in others}
        for number, others in dependencies(steps).items()
    }
    assert found["data"] == set()
    assert found["split"] == {"data"}
    assert found["seed1/retrained"] == {"data", "split"}
    assert found["seed1/orthograd"] == {"data", "split", "seed1/original", "seed1/reference_model"}
    models = {step.name for step in steps if step.stage in TRAINING}
    assert found["evaluate"] == {"data", "split", *models} - {
        "seed0/reference_model",
        "seed1/reference_model",
    }
    assert found["report"] == {"evaluate"}


def trainings(corpus, config, out):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    original, retrained, forgotten = (out / n for n in ("original", "retrained", "forgotten"))
    train = ["train", *data, "--model", str(config), "--finetune.epochs", "1"]
    unlearn = ["unlearn", *data, "--model", str(original), "--method", "gradient_ascent"]
    unlearn += ["--method.epochs", "1", "--stop.rule", "steps"]
    return [
        RecipeStep(3, "original", [*train, "--out", str(original)], [corpus], original),
        RecipeStep(
            4,
            "retrained",
            [*train, "--parts", "retain", "--out", str(retrained)],
            [corpus],
            retrained,
        ),
        RecipeStep(5, "forgotten", [*unlearn, "--out", str(forgotten)], [original], forgotten),
    ]


@pytest.fixture
def data(corpus, tmp_path):
    """The files that commands read, alone."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in corpus.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def test_the_models_are_those_of_one_process(data, tiny_config, tmp_path, capsys):
    for step in trainings(data, tiny_config, tmp_path / "one"):
        run_stage(step, tmp_path / "one")
    steps = trainings(data, tiny_config, tmp_path / "two")
    run_side_by_side(steps, tmp_path / "two", TWO)
    for step in steps:
        both = (load_file(tmp_path / n / step.name / "model.safetensors") for n in ("one", "two"))
        one, two = both
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
        log = (tmp_path / "two" / "logs" / f"{step.name}.log").read_text()
        assert " step, " in log
        one, two = (
            json.loads((tmp_path / n / step.name / "run.json").read_text()) for n in ("one", "two")
        )
        assert two["command"] == one["command"].replace("one/", "two/")
    capsys.readouterr()
    run_side_by_side(steps, tmp_path / "two", TWO)
    shown = capsys.readouterr().out.splitlines()
    assert [line.endswith("is complete, skipped") for line in shown] == [True] * 3


def test_what_fails_is_named_and_nothing_begins_after_it(data, tiny_config, tmp_path, capsys):
    steps = trainings(data, tiny_config, tmp_path)
    steps[0].argv[:] = ["train", "--manifest", str(tmp_path / "none.jsonl"), *steps[0].argv[3:]]
    with pytest.raises((InputError, FileNotFoundError), match=r"none\.jsonl"):
        run_side_by_side(steps, tmp_path, TWO)
    shown = capsys.readouterr().out
    assert f"stage 3 (original): original failed; see {tmp_path}/logs/original.log" in shown
    assert "forgotten" not in shown
    assert not (tmp_path / "forgotten").exists()


def test_each_worker_has_a_gpu_and_its_share_of_the_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    given = Runner("local", 3, ("4", "7"))
    assert given.gpu_of_each == ["4", "7", "4"]
    assert given.threads == 2
    assert Runner("ray", None, ("4",)).gpu_of_each == []
    assert Runner("ray", None, ("4",)).threads is None
    seen = []

    def noted(argv):
        seen.append((argv, os.environ["CUDA_VISIBLE_DEVICES"]))
        print("done")
        print("warned", file=sys.stderr)

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.chdir(tmp_path)
    LoggedCall(partial(noted, ["x"]), Path("logs/x.log"), tmp_path, gpu="7")()
    assert seen == [(["x"], "7")]
    assert (tmp_path / "logs" / "x.log").read_text() == "done\nwarned\n"


def test_gpus_go_round(monkeypatch, tmp_path):
    """No two trainings at the same time have one GPU, and no more run than there are workers."""
    used, most = [], [0]

    class Future:
        def __init__(self, call):
            self.call = call

        def exception(self):
            return None

        def result(self):
            used.append(self.call.gpu)

    class Pool:
        workers, threads, gpu_of_each = 2, None, ("0", "1")

        def start(self):
            from contextlib import nullcontext

            return nullcontext(Future)

    def first(running, **_):
        assert len({future.call.gpu for future in running}) == len(running) <= 2
        most[0] = max(most[0], len(running))
        return {next(iter(running))}, set()

    monkeypatch.setattr(side_by_side, "wait", first)
    monkeypatch.setattr(side_by_side, "begin", lambda step, out: step.name != "complete")
    monkeypatch.setattr(side_by_side, "end", lambda *_: None)
    names = ["a", "complete", "b", "c", "d"]
    steps = [RecipeStep(3, name, [], [], tmp_path / name) for name in names]
    run_side_by_side(steps, tmp_path, Pool())
    assert len(used) == 4
    assert set(used) == {"0", "1"}
    assert most == [2]


@pytest.mark.parametrize("name", ["slurm", "ray:", "ray://", "ray:// x", ""])
def test_an_unknown_runner_is_refused(name):
    with pytest.raises(InputError, match=f"--runner {name}: give local, ray or ray://HOST:PORT"):
        Runner.of(name, None, CPU)


def test_workers_by_default(monkeypatch):
    assert Runner.of("local", None, CPU) == Runner("local", 1, ())
    assert Runner.of("local", None, CPU).is_this_process
    assert not Runner.of("local", 2, CPU).is_this_process
    assert not Runner.of("ray", 1, CPU).is_this_process
    assert Runner.of("ray://head:10001", None, CPU).workers is None
    cuda = torch.device("cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert Runner.of("local", None, cuda) == Runner("local", 2, ("2", "3"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert Runner.of("local", None, cuda).gpus == ("0", "1", "2")

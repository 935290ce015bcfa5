"""Tasks on a real Ray cluster of two nodes, started on this machine."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import ray
import torch
from ray.cluster_utils import Cluster
from safetensors.torch import load_file

from asr_unlearn.cli.main import main
from asr_unlearn.cli.plan import RecipeStep
from asr_unlearn.cli.side_by_side import run_side_by_side
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.ray_cluster import ray_tasks
from asr_unlearn.runtime.runner import Runner
from asr_unlearn.training.checkpoint import checkpoints
from tests.support.lost_node import Failing, SlowTraining
from tests.support.tiny_training import tiny_training
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(monkeypatch):
    """A head without room for tasks, and two nodes with room for one each."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
def test_a_training_whose_node_is_lost_goes_on_elsewhere(cluster, corpus, tiny_config, tmp_path):
    whole = tiny_training(corpus, tiny_config, tmp_path / "whole", "finetune", epochs=6)
    steps = whole().steps
    folder = tmp_path / "lost"
    with ray_tasks("ray") as submit:
        future = submit(SlowTraining(corpus, tiny_config, folder, 1.0))
        wait_until(lambda: len(checkpoints(folder)) and checkpoints(folder)[-1].name[-1] >= "2")
        pid = int((folder / "begun").read_text().split()[0])
        node = next(n for n in cluster.nodes if pid in descendants(raylet(n).pid))
        cluster.remove_node(node, allow_graceful=False)
        assert future.result(timeout=400) == steps
    (first, start), (second, resumed) = (
        map(int, line.split()) for line in (folder / "begun").read_text().splitlines()
    )
    assert first != second
    assert start == 0
    assert resumed >= 2
    again = tiny_training(corpus, tiny_config, folder, "finetune", epochs=6)
    again()
    for name, weights in whole.task.model.state_dict().items():
        assert torch.equal(weights, again.task.model.state_dict()[name]), name


def raylet(node):
    """The process that starts a node's tasks."""
    return node.all_processes["raylet"][0].process


def descendants(pid):
    found = [pid]
    for process in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


@pytest.mark.slow
def test_trainings_of_a_recipe_run_on_the_cluster(cluster, corpus, tiny_config, tmp_path):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    original, forgotten = tmp_path / "original", tmp_path / "forgotten"
    train = ["train", *data, "--model", str(tiny_config), "--finetune.epochs", "1"]
    unlearn = ["unlearn", *data, "--model", str(original), "--method", "gradient_ascent"]
    unlearn += ["--method.epochs", "1", "--stop.rule", "steps"]
    steps = [
        RecipeStep(3, "original", [*train, "--out", str(original)], [corpus], original),
        RecipeStep(5, "forgotten", [*unlearn, "--out", str(forgotten)], [original], forgotten),
    ]
    run_side_by_side(steps, tmp_path, Runner("ray", None, ()))
    weights = [load_file(folder / "model.safetensors") for folder in (original, forgotten)]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "1 steps" in (tmp_path / "logs" / "forgotten.log").read_text()


@pytest.mark.slow
def test_an_evaluation_runs_on_the_cluster(cluster, corpus, tiny_config, tmp_path, monkeypatch):
    """With the trainings of its attacks, relative paths, and the figures of one process."""
    monkeypatch.chdir(tmp_path)
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    main(
        ["train", *data, "--model", str(tiny_config), "--finetune.epochs", "2", "--out", "original"]
    )
    unlearn = ["unlearn", *data, "--model", "original", "--method", "gradient_ascent"]
    main([*unlearn, "--method.epochs", "1", "--stop.rule", "steps", "--out", "forgotten"])
    argv = ["evaluate", *data, "--models", "original,forgotten", "--informed", "1"]
    argv += ["--measures", "relearning,quantisation"]
    found = []
    for runner in ("ray", "local"):
        main([*argv, "--runner", runner, "--workers", "1", "--out", "results.json"])
        found.append(read_results(Path("results.json")).record["models"])
        logs = [Path(f"{name}.log").exists() for name in ("informed", "transcription")]
        assert all(logs) == any(logs) == (runner == "ray")
        for made in (".cache", "informed", "informed.log", "transcription.log"):
            remove(Path(made))
    ours, theirs = found
    assert [entry["name"] for entry in ours] == ["original", "forgotten"]
    for one, other in zip(ours, theirs, strict=True):
        for figure in ("wer", "loss", "membership", "relearning", "quantisation"):
            assert one[figure] == pytest.approx(other[figure], rel=1e-4), figure


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.slow
def test_an_error_is_the_one_that_the_call_raised(cluster):
    with ray_tasks("ray") as submit, pytest.raises(InputError, match=r"^model\.json: there is no"):
        submit(Failing()).result(timeout=300)


@pytest.mark.slow
def test_tasks_end_first_where_the_program_is_asked_to(cluster, corpus, tiny_config, tmp_path):
    def interrupted():
        with ray_tasks("ray") as submit:
            submit(SlowTraining(corpus, tiny_config, tmp_path, 0.3))
            wait_until(lambda: (tmp_path / "begun").is_file())
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    # A shell starts what runs in its background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert 0 < len(rows) < 18
    time.sleep(1)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == rows
    assert checkpoints(tmp_path)[-1].name == f"checkpoint-{len(rows):09d}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Ray Client connection timed out")
def test_without_a_cluster_there(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="--runner ray://"), ray_tasks("ray://127.0.0.1:1"):
        pass

"""Two processes that each have a part of every weight train the model of one that has all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from transformers import Wav2Vec2Config

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods import METHODS
from asr_unlearn.models.adapters import Lora, add_adapters
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.runtime.sharding import is_sharded
from asr_unlearn.training.sharded_task import sharded_task
from asr_unlearn.training.stop_rule import StopRule
from tests.runtime.test_distributed import LAUNCHERS, NO_NOISE, Place, moved
from tests.support.killing import run_until_killed
from tests.support.rates import rate
from tests.support.spawned import run_both
from tests.support.tiny_training import tiny_run, tiny_task

SHARD = Compute(shard=True)
CASES = {name: {} for name, method in METHODS.items() if method.shardable}
# A gradient of the wrong size cannot pass with SGD; AdamW is that of the others.
CASES |= {
    "gradient_ascent auto": {"lr": "auto", "clip": 0.1},
    "cf_k": {"layers": 2},
    "finetune eight": {"eight_bit": True},
    "finetune lora": {"lora": Lora(r=2)},
}
STOP = StopRule(target=MeanScore(loss=4.6, cer=1.0), on="loss", every=2)


def task_of(place, lora=None):
    data, task = tiny_task(place.corpus, place.config)
    if lora:
        torch.manual_seed(0)
        add_adapters(task.model, lora)
        # New adapters change nothing, so that half of them have no gradient.
        for name, parameter in task.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    task.freeze_front_end()
    return data, task


def training(data, task, case, folder, *, stop=None, **options):
    name = case.split()[0]
    given = {"epochs": 2, "retain_batch": 5, "forget_batch": 3} | rate(name, 1e-3) | options
    known = {"unseen": {u.id: 4 + i / 10 for i, u in enumerate(data.part("unseen"))}}
    return tiny_run(data, task, folder, name, stop=stop, known=known, **given)


def trained(place, case, suffix, compute=FULL, **options):
    """The weights that a case leaves, and how its run ended."""
    lora = options.pop("lora", None)
    data, task = task_of(place, lora)
    task.compute = compute
    name = case.split()[0]
    with sharded_task(task, METHODS[name](**rate(name, 1e-3))) as own:
        assert is_sharded(own.model) == compute.shard
        run = training(data, own, case, place.runs / f"{case}-{suffix}", **options)
        outcome = run()
    assert not is_sharded(task.model)
    return task.model.state_dict(), [outcome.steps, outcome.kept_step, outcome.stopped]


def take_part(rank, place):
    torch.set_num_threads(1)
    meeting = f"file://{place.runs}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found = {case: trained(place, case, "two", SHARD, **o)[0] for case, o in CASES.items()}
    stopped = {"stop": STOP, "epochs": 3, "lr": 3e-2}
    found["stopped"], end = trained(place, "gradient_ascent stopped", "two", SHARD, **stopped)
    found["killed"] = killed(place)
    found["share"] = share_of(place)
    torch.save(found, place.runs / f"weights-{rank}.pt")
    (place.runs / f"end-{rank}.json").write_text(json.dumps(end))
    dist.destroy_process_group()


def killed(place):
    """The weights of a run that is killed after its third step, and goes on."""
    for last in (False, True):
        data, task = task_of(place)
        task.compute = SHARD
        with sharded_task(task, METHODS["finetune"]()) as own:
            run = training(data, own, "finetune", place.runs / "killed")
            run() if last else run_until_killed(run, 3)
        dist.barrier()
    return task.model.state_dict()


def share_of(place):
    """The share of all trained weights that this process has."""
    task = task_of(place)[1]
    task.compute = SHARD
    everything = sum(p.numel() for p in task.model.parameters() if p.requires_grad)
    with sharded_task(task, METHODS["finetune"]()) as own:
        return sum(p.numel() for p in trainable_parameters(own.model).values()) / everything


@pytest.fixture(scope="module")
def together(corpus, tiny_config, tmp_path_factory):
    runs = tmp_path_factory.mktemp("sharded")
    # Layers are never skipped there; here neither.
    still = NO_NOISE | {"layerdrop": 0.0}
    config = Wav2Vec2Config.from_pretrained(tiny_config, **still, intermediate_size=512)
    config.save_pretrained(runs / "still")
    place = Place(corpus, runs / "still", runs)
    run_both(take_part, place, 300)
    return place, [torch.load(runs / f"weights-{r}.pt", weights_only=True) for r in range(2)]


def compare(found, expected, start, name, tolerance=1e-4):
    for one in found:
        far = moved(expected, start)
        assert far.norm() > 0
        assert (moved(one, start) - far).norm() <= tolerance * far.norm(), name


def test_every_method_that_says_so_trains_the_same_model(together):
    place, weights = together
    assert {"finetune", "nabla_tau", "npo", "gradient_ascent"} <= CASES.keys()
    for case, options in CASES.items():
        start = task_of(place, options.get("lora"))[1].model.state_dict()
        expected, _ = trained(place, case, "one", **options)
        # The state of an optimizer in 8 bits is rounded in blocks, which the parts divide.
        tolerance = 0.05 if "eight" in case else 1e-4
        compare([each[case] for each in weights], expected, start, case, tolerance)
        logs = [(place.runs / f"{case}-{which}" / "metrics.jsonl") for which in ("one", "two")]
        one, two = ([json.loads(line) for line in log.read_text().splitlines()] for log in logs)
        assert len(one) == len(two) > 1
        for a, b in zip(one, two, strict=True):
            for key in {*a} - {"seconds"}:
                assert b[key] == pytest.approx(a[key], rel=1e-2, abs=1e-4), (case, key)


def test_early_stopping_goes_back_as_far(together):
    place, weights = together
    options = {"stop": STOP, "epochs": 3, "lr": 3e-2}
    start = task_of(place)[1].model.state_dict()
    expected, end = trained(place, "gradient_ascent stopped", "one", **options)
    assert end[1] < end[0]
    for rank in range(2):
        assert json.loads((place.runs / f"end-{rank}.json").read_text()) == end
    compare([each["stopped"] for each in weights], expected, start, "stopped")


def test_a_killed_run_goes_on_as_if_it_had_not_been(together):
    _, weights = together
    for each in weights:
        for name, tensor in each["killed"].items():
            assert torch.equal(tensor, each["finetune"][name]), name


def test_each_process_has_half(together):
    _, weights = together
    assert sum(each["share"] for each in weights) == pytest.approx(1)
    assert max(each["share"] for each in weights) < 0.51


def test_others_are_refused(together, monkeypatch):
    place, _ = together
    _, task = task_of(place)
    task.compute = SHARD
    with pytest.raises(ValueError, match="several processes"), sharded_task(task, METHODS["npo"]()):
        pass
    monkeypatch.setattr("asr_unlearn.runtime.distributed.group", lambda: object())
    refused = [METHODS[name] for name in sorted(METHODS.keys() - {c.split()[0] for c in CASES})]
    assert {"orthograd_tau", "sfr_on", "salun", "scrub"} <= {method.name for method in refused}
    for method in [*(m(**rate(m.name, 1e-3)) for m in refused), METHODS["npo"](project=True)]:
        with (
            pytest.raises(ValueError, match=f"{method.name} needs whole"),
            sharded_task(task, method),
        ):
            pass
    for parameter in task.front_end.parameters():
        parameter.requires_grad_(True)
    with pytest.raises(ValueError, match="stay frozen"), sharded_task(task, METHODS["npo"]()):
        pass


LARGE = {
    **dict.fromkeys(("hidden_size", "output_hidden_size"), 1024),
    **{"num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}


@pytest.mark.slow
def test_a_large_model_is_trained_and_unlearned_by_two(corpus, tiny_config, tmp_path):
    """300 million weights, by the command line."""
    still = NO_NOISE | {"layerdrop": 0.0}
    Wav2Vec2Config.from_pretrained(tiny_config, **still, **LARGE).save_pretrained(
        tmp_path / "large"
    )
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    alphabet = alphabet_of(Corpus.read(Path(data[1]), Path(data[3])).manifest)
    train = ["train", *data, "--model", str(tmp_path / "large"), "--freeze_front_end", "true"]
    train += ["--finetune.epochs", "1", "--finetune.lr", "1e-5", "--finetune.retain_batch", "16"]
    unlearn = ["unlearn", *data, "--model", str(tmp_path / "two"), "--method", "neggrad_plus"]
    unlearn += ["--method.epochs", "1", "--method.lr", "1e-5", "--stop.rule", "steps"]
    sharded = [*LAUNCHERS["torchrun"], "-m", "asr_unlearn"]
    shard = ["--compute.shard", "true"]
    calls = [
        ["asr_unlearn", *train, "--out", str(tmp_path / "one")],
        [*sharded, *train, *shard, "--out", str(tmp_path / "two")],
        [*sharded, *unlearn, *shard, "--out", str(tmp_path / "forgotten")],
    ]
    # In processes of their own: together they would need more memory than there is.
    for call in calls:
        done = subprocess.run(
            [sys.executable, "-m", *call],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, two, forgotten = (
        load_file(tmp_path / name / "model.safetensors") for name in ("one", "two", "forgotten")
    )
    assert sum(t.numel() for t in one.values()) > 3e8
    started, _ = model_from_config(str(tmp_path / "large"), alphabet, seed=0)
    start = started.state_dict()
    compare([two], one, start, "train", 1e-2)
    assert moved(forgotten, two).norm() > 0
    run = json.loads((tmp_path / "forgotten" / "run.json").read_text())
    assert run["processes"] == 2
    assert run["options"]["compute"]["shard"]

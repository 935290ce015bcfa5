"""Two processes train the model that one trains, and leave one run behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from transformers import Wav2Vec2Config

from asr_unlearn.cli.main import main
from asr_unlearn.gradients.cgls import TOLERANCE
from asr_unlearn.methods.orthograd import OrthoGrad
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.task import NonFiniteLossError
from asr_unlearn.runtime import distributed, signals
from asr_unlearn.training.checkpoint import checkpoints
from asr_unlearn.training.stop_rule import StopRule
from tests.support.flags import flags
from tests.support.killing import run_until_killed
from tests.support.rates import rate
from tests.support.spawned import run_both
from tests.support.tiny_training import tiny_training
from tests.support.waiting import at_work, wait_until

NO_NOISE = {
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout"), 0.0),
    **dict.fromkeys(("feat_proj_dropout", "final_dropout"), 0.0),
    "apply_spec_augment": False,
}
# Batches of three and five are shared unequally. An update of SGD is proportional to the gradient,
# so that a gradient of half the size, or without one process's share, cannot pass.
CASES = {
    "orthograd": {"metric": "euclidean", "lr": 0.05},
    "orthograd pooled": {"metric": "euclidean", "lr": 0.05, "retain_pool": 10},
    "orthograd_tau": {"metric": "euclidean"},
    "neggrad_plus": {},
    "nabla_tau": {},
    "sfr_on": {},
    "msa": {},
    "rmu": {},
    "salun": {"share": 1.0},
    "finetune": {},
    "npo projected": {"lr": 1e-2, "project": True, "sam": 0.1},
}


@dataclass
class Place:
    """Where the corpus and the config without noise lie, and where runs go."""

    corpus: Path
    config: Path
    runs: Path


# Processes cut their shares into different numbers of pieces of at most so many seconds.
PIECES = Compute(max_seconds=1.1)


def make(place, name, folder, *, config=None, stop=None, compute=FULL, **options):
    name = name.split()[0]
    options = {"epochs": 1, "retain_batch": 5, "forget_batch": 3} | rate(name, 1e-3) | options
    where = place.corpus, config or place.config, folder, name
    return tiny_training(*where, stop=stop, compute=compute, **options)


def run_cases(place, suffix, compute=FULL):
    """Each case's weights, by every process."""
    for name, options in CASES.items():
        run = make(place, name, place.runs / f"{name}-{suffix}", compute=compute, **options)
        run()
        yield name, run.task.model.state_dict()


def stopping(place, folder):
    """A loss that is passed by, so that the run goes part of the way back."""
    rule = StopRule(target=MeanScore(loss=4.6, cer=1.0), on="loss", every=2)
    return make(place, "gradient_ascent", folder, stop=rule, epochs=3, lr=1e-2)


def noisy(place, folder):
    """Fine-tuning with dropout and SpecAugment."""
    return make(place, "finetune", folder, config=place.corpus / "noisy", epochs=2)


def eight_bit(place, folder):
    """Fine-tuning with an optimizer whose state is in 8 bits for layers of 4096 weights or more."""
    return make(place, "finetune", folder, config=place.corpus / "wide", eight_bit=True)


def take_part(rank, place):
    """What each process runs; it leaves its findings in the folder of runs."""
    torch.set_num_threads(1)
    meeting = f"file://{place.runs}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found = dict(run_cases(place, "two"))
    found["pieces"] = dict(run_cases(place, "pieces", PIECES))
    stopped = stopping(place, place.runs / "stopped-two")()
    rounded = eight_bit(place, place.runs / "eight-bit-two")
    rounded()
    found["eight_bit"] = rounded.task.model.state_dict()
    noisy(place, place.runs / "whole")()
    run_until_killed(noisy(place, place.runs / "killed"), 3)
    distributed.barrier()
    torch.manual_seed(99)
    resumed = noisy(place, place.runs / "killed")
    resumed()
    found["resumed"] = resumed.task.model.state_dict()
    number = ended(place, rank)
    distributed.barrier()
    states = [path.name for path in checkpoints(place.runs / "ended")]
    (place.runs / f"ended-{rank}.json").write_text(json.dumps([number, states]))
    distributed.barrier()
    resumed = noisy(place, place.runs / "ended")
    resumed()
    found["ended"] = resumed.task.model.state_dict()
    whole = noisy(place, place.runs / "whole")
    whole()
    found["whole"] = whole.task.model.state_dict()
    end = (stopped.steps, stopped.kept_step, stopped.stopped)
    torch.save(found, place.runs / f"weights-{rank}.pt")
    (place.runs / f"stopped-{rank}.json").write_text(json.dumps(end))
    failing(place, rank)


def ended(place, rank):
    """Fine-tuning whose second process gets a signal in its third step: how each one ends."""
    run = noisy(place, place.runs / "ended")
    run.checkpoint_seconds = float("inf")
    update = run._update

    def signalled():
        if rank == 1 and run.progress.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return update()

    run._update = signalled
    try:
        with signals.raised():
            run()
    except signals.EndedError as error:
        return error.number
    return 0


def failing(place, rank):
    """The last that these two do: the second meets a loss that is not a number."""
    run = make(place, "neggrad_plus", place.runs / "failing")
    if rank == 1:
        run.task.model.lm_head.bias.data.fill_(float("nan"))
    try:
        run()
    except (NonFiniteLossError, RuntimeError) as error:
        (place.runs / f"failed-{rank}.txt").write_text(f"{type(error).__name__}: {error}")
    # Ends without a word to the other, as a process does that fails.
    os._exit(0)


@pytest.fixture(scope="module")
def together(corpus, tiny_config, tmp_path_factory):
    """What two processes found, and where."""
    runs = tmp_path_factory.mktemp("runs")
    config = Wav2Vec2Config.from_pretrained(tiny_config, **NO_NOISE)
    config.save_pretrained(runs / "still")
    Wav2Vec2Config.from_pretrained(tiny_config).save_pretrained(corpus / "noisy")
    wide = Wav2Vec2Config.from_pretrained(tiny_config, **NO_NOISE, intermediate_size=512)
    wide.save_pretrained(corpus / "wide")
    place = Place(corpus, runs / "still", runs)
    run_both(take_part, place, 240)
    weights = [torch.load(runs / f"weights-{rank}.pt", weights_only=True) for rank in range(2)]
    return place, weights


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def moved(weights, start):
    """How far training went, in all weights that the losses depend on.

    A bias of the keys shifts all scores of a query alike, which the softmax takes back: its
    gradient is rounding alone, and Adam makes steps of it.
    """
    names = [n for n in weights if not n.endswith("k_proj.bias")]
    return torch.cat([(weights[n] - start[n]).flatten().double() for n in names])


def test_two_processes_train_the_model_of_one(together):
    place, weights = together
    start = make(place, "finetune", place.runs / "start").task.model.state_dict()
    for name, alone in run_cases(place, "one"):
        expected, found = moved(alone, start), moved(weights[0][name], start)
        assert expected.norm() > 0
        assert (found - expected).norm() <= 1e-4 * expected.norm(), name
        size = torch.cat([tensor.flatten() for tensor in alone.values()]).norm()
        assert (found - expected).norm() <= 1e-6 * size, name
        for key, tensor in weights[1][name].items():
            assert torch.equal(tensor, weights[0][name][key]), (name, key)
        one, two = rows(place.runs / f"{name}-one"), rows(place.runs / f"{name}-two")
        assert [row["step"] for row in two] == [row["step"] for row in one]
        for a, b in zip(one, two, strict=True):
            # What conjugate gradients leave over is rounding, to the last iteration.
            assert max(a.get("residual", 0), b.get("residual", 0)) <= 1e-3
            for key in {*a} - {"seconds", "residual"}:
                assert b[key] == pytest.approx(a[key], rel=1e-4, abs=1e-5), (name, key)


def test_an_optimizer_of_eight_bits_takes_the_same_steps_in_both(together):
    """The rounding of the state makes more of that of gradients: they are nearly those of one."""
    place, weights = together
    one = eight_bit(place, place.runs / "eight-bit-one")
    start = {name: tensor.clone() for name, tensor in one.task.model.state_dict().items()}
    one()
    expected = moved(one.task.model.state_dict(), start)
    found = weights[0]["eight_bit"]
    assert expected.norm() > 0
    assert (moved(found, start) - expected).norm() <= 0.02 * expected.norm()
    for key, tensor in weights[1]["eight_bit"].items():
        assert torch.equal(tensor, found[key]), key


def test_pieces_of_batches_train_the_same_model(together):
    """By one process, and by two whose shares are cut into different numbers of pieces."""
    place, weights = together
    start = make(place, "finetune", place.runs / "begin").task.model.state_dict()
    alone = dict(run_cases(place, "cut", PIECES))
    for name, whole in run_cases(place, "uncut"):
        expected = moved(whole, start)
        # The solver of a pool may end an iteration earlier, at the same tolerance.
        limit = TOLERANCE if "retain_pool" in CASES[name] else 1e-4
        for found in (alone[name], weights[0]["pieces"][name], weights[1]["pieces"][name]):
            assert (moved(found, start) - expected).norm() <= limit * expected.norm(), name
    run = make(place, "neggrad_plus", place.runs / "counted", compute=PIECES)
    counts = {len(source.pieces(i)) for source in run.sources.values() for i in range(2)}
    assert len(counts) > 1


def test_both_stop_at_the_step_of_one_and_go_back_as_far(together):
    place, _ = together
    run = stopping(place, place.runs / "stopped-one")
    alone = run()
    assert alone.kept_step < alone.steps < run.total
    expected = [alone.steps, alone.kept_step, alone.stopped]
    for rank in range(2):
        assert json.loads((place.runs / f"stopped-{rank}.json").read_text()) == expected


def test_a_killed_run_goes_on_with_the_same_noise(together):
    place, weights = together
    for found in weights:
        for key, tensor in found["resumed"].items():
            assert torch.equal(tensor, found["whole"][key]), key
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in rows(place.runs / name)]
        for name in ("killed", "whole")
    ]
    assert timeless[0] == timeless[1]


def test_both_end_after_the_step_in_which_one_got_a_signal(together):
    place, weights = together
    for rank in range(2):
        number, states = json.loads((place.runs / f"ended-{rank}.json").read_text())
        assert number == signal.SIGTERM
        assert states == ["checkpoint-000000003"]
        for key, tensor in weights[rank]["ended"].items():
            assert torch.equal(tensor, weights[rank]["whole"][key]), key


def test_both_end_when_one_fails(together):
    place, _ = together
    said = [(place.runs / f"failed-{rank}.txt").read_text() for rank in range(2)]
    assert said[1].startswith("NonFiniteLossError")
    assert said[0].startswith(("RuntimeError", "Dist"))


def unlearn_arguments(corpus, original, out):
    return [
        *("unlearn", "--manifest", str(corpus / "manifest.jsonl")),
        *("--split", str(corpus / "split.json"), "--model", str(original), "--out", str(out)),
        *("--method", "neggrad_plus"),
        *flags("method", epochs=2, forget_batch=3, retain_batch=5),
        # By steps: what a model of one epoch can be stopped by is left to luck.
        *("--stop.rule", "steps"),
    ]


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    # Its other road to two processes on one machine needs MPI; this one asks for no GPU either.
    "accelerate": [
        *("accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"),
        *("--mixed_precision=no", "--dynamo_backend=no", "--main_process_port=0"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_publishes_one_model(launcher, corpus, tiny_config, tmp_path):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    original, one, two = (tmp_path / name for name in ("original", "one", "two"))
    argv = ["train", *data, "--model", str(tiny_config), "--out", str(original)]
    main([*argv, "--finetune.epochs", "1"])
    main(unlearn_arguments(corpus, original, one))
    launch = [sys.executable, "-m", *LAUNCHERS[launcher]]
    done = subprocess.run(
        [*launch, "-m", "asr_unlearn", *unlearn_arguments(corpus, original, two)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(done.stdout.splitlines()) == 1
    weights = [load_file(folder / "model.safetensors") for folder in (original, one, two)]
    expected, found = moved(weights[1], weights[0]), moved(weights[2], weights[0])
    assert (found - expected).norm() <= 1e-4 * expected.norm()
    assert [r["step"] for r in rows(two)] == [r["step"] for r in rows(one)]
    assert {p.name for p in two.iterdir()} == {p.name for p in one.iterdir()}
    assert sorted(p.name for p in tmp_path.iterdir()) == [".cache", "one", "original", "two"]
    assert json.loads((two / "run.json").read_text())["processes"] == 2


def launched(arguments):
    """A command in two processes, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *LAUNCHERS["torchrun"], "-m", "asr_unlearn", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def workers(process):
    """The ids of the processes that a launcher has started."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in found]


def logged(out):
    """The rows that an interrupted run has written."""
    files = list(out.parent.glob(f"{out.name}.*.partial/metrics.jsonl"))
    return sum(len(file.read_text().splitlines()) for file in files)


@pytest.mark.slow
def test_a_launched_run_survives_kills_and_signals(corpus, tiny_config, tmp_path):
    """Of both processes at once, of one of them, of the launcher; and a signal to the launcher."""
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["train", *data, "--model", str(tiny_config), "--finetune.epochs", "60"]
    whole, out = tmp_path / "whole", tmp_path / "killed"
    shown, _ = launched([*argv, "--out", str(whole)]).communicate(timeout=180)
    assert (whole / "run.json").is_file(), shown
    moments = random.Random(0)
    for kind in ("all", "worker", "launcher", "signal"):
        before, process = logged(out), launched([*argv, "--out", str(out)])
        wait_until(lambda before=before: logged(out) > before + 20)
        time.sleep(moments.uniform(0, 0.3))
        children = workers(process)
        assert len(children) == 2
        if kind == "all":
            os.killpg(process.pid, signal.SIGKILL)
        elif kind == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            os.kill(children[1] if kind == "worker" else process.pid, signal.SIGKILL)
        shown, _ = process.communicate(timeout=90)
        assert process.returncode != 0, (kind, shown)
        wait_until(lambda children=children: not any(map(at_work, children)))
        assert not out.exists(), kind
        if kind == "signal":
            (folder,) = tmp_path.glob("killed.*.partial")
            saved = int(checkpoints(folder)[-1].name.removeprefix("checkpoint-"))
            last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
            assert last["step"] == saved
            assert "Traceback" not in shown.split("Sending process")[0]
    shown, _ = launched([*argv, "--out", str(out)]).communicate(timeout=180)
    assert (out / "run.json").is_file(), shown
    weights = [load_file(folder / "model.safetensors") for folder in (whole, out)]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def test_other_commands_are_for_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"methods works in one process.*train, unlearn, evaluate"):
        main(["methods"])


@pytest.mark.parametrize(
    ("optimizer", "options", "named"),
    [
        (torch.optim.SGD, {"momentum": 0.9}, "SGD momentum"),
        (torch.optim.SGD, {"weight_decay": 0.1}, "SGD weight_decay"),
        (torch.optim.Adam, {}, "Adam would"),
    ],
)
def test_orthograd_refuses_an_optimizer_that_takes_another_step(optimizer, options, named):
    class Other(OrthoGrad):
        def optimizer(self, parameters):
            return optimizer(parameters, lr=self.lr, **options)

    with pytest.raises(ValueError, match=named):
        Other()

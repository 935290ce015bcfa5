"""The training loop: it learns, resumes bit for bit, and names what is not finite."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file
from transformers import Wav2Vec2Config

from asr_unlearn.data.augmentation import PolarityAndShift, Speeds
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.methods import METHODS
from asr_unlearn.methods.gradient_ascent import GradientAscent
from asr_unlearn.models.tasks.task import NonFiniteLossError
from asr_unlearn.training.checkpoint import checkpoints, random_state, restore_random_state
from asr_unlearn.training.outcome import DivergedError
from asr_unlearn.training.trainer import Training
from tests.support.killing import run_until_killed
from tests.support.rates import rate
from tests.support.tiny_training import tiny_training

CHANGES = [Speeds((0.9, 1.0, 1.1)), PolarityAndShift()]


@pytest.fixture
def parts(corpus):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    return data, {part: data.part(part) for part in ("forget", "retain", "unseen")}


def make(corpus, config, folder, name="finetune", **options):
    options = {"epochs": 4, "retain_batch": 4, "forget_batch": 4} | rate(name, 3e-3) | options
    changes = CHANGES if name == "finetune" else ()
    return tiny_training(corpus, config, folder, name, changes=changes, **options)


def weights(run: Training) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in run.task.model.state_dict().items()}


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_descent_lowers_the_loss(corpus, tiny_config, tmp_path):
    run = make(corpus, tiny_config, tmp_path, epochs=30)
    outcome = run()
    losses = [row["retain_loss"] for row in rows(tmp_path)]
    assert len(losses) == outcome.steps == run.total
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@pytest.mark.parametrize("name", [*sorted(METHODS), "npo projected", "scrub projected"])
@pytest.mark.parametrize("killed_at", [3, 6])
def test_interrupted_equals_uninterrupted(name, killed_at, corpus, tiny_config, tmp_path):
    """Bit for bit, with dropout and SpecAugment drawing from torch's and NumPy's generators."""
    name, *projected = name.split()
    epoch_part = METHODS[name].epoch_part
    options = {"epochs": 2 if epoch_part == "retain" else 4, "project": bool(projected)}
    options |= rate(name, 1.0 if name == "ssd" else 1e-3)
    if name == "sfr_on":
        options["beta"] = 0.5
    whole = make(corpus, tiny_config, tmp_path / "whole", name, **options)
    whole()
    assert whole.progress.step > killed_at

    killed = make(corpus, tiny_config, tmp_path / "killed", name, **options)
    run_until_killed(killed, killed_at)
    torch.manual_seed(99)  # A new process does not begin where the old one was.
    resumed = make(corpus, tiny_config, tmp_path / "killed", name, **options)
    resumed()
    expected = weights(whole)
    for key, tensor in weights(resumed).items():
        assert torch.equal(tensor, expected[key]), key
    timeless = [{k: v for k, v in r.items() if k != "seconds"} for r in rows(tmp_path / "whole")]
    again = [{k: v for k, v in r.items() if k != "seconds"} for r in rows(tmp_path / "killed")]
    assert again == timeless


def test_interrupted_equals_uninterrupted_with_an_optimizer_of_eight_bits(
    corpus, tiny_config, tmp_path
):
    # bitsandbytes keeps the state of fewer than 4096 weights in 32 bits.
    config = Wav2Vec2Config.from_pretrained(tiny_config, intermediate_size=512)
    config.save_pretrained(tmp_path / "wide")
    options = {"epochs": 2, "lr": 1e-3, "eight_bit": True}
    whole = make(corpus, tmp_path / "wide", tmp_path / "whole", **options)
    whole()
    state = next(iter(checkpoints(tmp_path / "whole"))) / "state.pt"
    saved = str(torch.load(state, weights_only=True)["optimizer"])
    assert "torch.uint8" in saved
    run_until_killed(make(corpus, tmp_path / "wide", tmp_path / "killed", **options), 3)
    resumed = make(corpus, tmp_path / "wide", tmp_path / "killed", **options)
    resumed()
    expected = weights(whole)
    assert all(torch.equal(t, expected[k]) for k, t in weights(resumed).items())


@pytest.mark.parametrize("name", ["orthograd", "sfr_on", "finetune", "msa"])
def test_what_was_saved_on_gpus_is_taken_up_without_one(
    name, corpus, tiny_config, tmp_path, monkeypatch
):
    options = {"epochs": 2, "lr": 1e-3} | ({"beta": 0.5} if name == "sfr_on" else {})
    whole = make(corpus, tiny_config, tmp_path / "whole", name, **options)
    whole()
    with monkeypatch.context() as gpus:
        cuda = {"cuda": [torch.get_rng_state()] * 2}
        gpus.setattr("asr_unlearn.training.checkpoint.random_state", lambda: random_state() | cuda)
        gpus.setattr("torch.serialization.location_tag", lambda _: "cuda:1")
        run_until_killed(make(corpus, tiny_config, tmp_path / "killed", name, **options), 3)
    resumed = make(corpus, tiny_config, tmp_path / "killed", name, **options)
    resumed()
    expected = weights(whole)
    assert all(torch.equal(t, expected[k]) for k, t in weights(resumed).items())


def test_only_the_generators_of_gpus_that_are_there_are_restored(monkeypatch):
    restored = []
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.set_rng_state_all", restored.extend)
    restore_random_state(random_state() | {"cuda": ["first", "second"]})
    assert restored == ["first"]


def test_what_a_method_carries_comes_back_on_the_models_device(
    corpus, tiny_config, tmp_path, monkeypatch
):
    options = {"epochs": 2, "lr": 1e-3}
    run_until_killed(make(corpus, tiny_config, tmp_path, "orthograd", **options), 1)
    resumed = make(corpus, tiny_config, tmp_path, "orthograd", **options)
    monkeypatch.setattr(type(resumed.task), "device", torch.device("meta"))
    monkeypatch.setattr(resumed.method, "prepare", lambda _: None)
    resumed._resume()
    carried = resumed.method.state_dict()
    assert carried.keys() == {"retain", "second_moment"}
    assert {t.device.type for own in carried.values() for t in own.values()} == {"meta"}


def test_the_seed_reproduces_a_run(corpus, tiny_config, tmp_path):
    one, other = (make(corpus, tiny_config, tmp_path / name) for name in ("one", "other"))
    one()
    other()
    expected = weights(one)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in weights(other).items())


def test_a_kill_while_saving_leaves_the_checkpoint_before(
    corpus, tiny_config, tmp_path, monkeypatch
):
    run = make(corpus, tiny_config, tmp_path)
    run()
    (before,) = checkpoints(tmp_path)

    def full(*_, **__):
        raise OSError("no space left on device")

    run.progress.step += 1
    monkeypatch.setattr("asr_unlearn.training.checkpoint.torch.save", full)
    with pytest.raises(OSError, match="no space"):
        run.state.save()
    assert checkpoints(tmp_path) == [before]
    assert (before / "state.pt").exists()


@dataclass(kw_only=True)
class Exploding(GradientAscent):
    name: ClassVar[str] = "exploding"
    broken_from: int = 4

    def direction(self, step):
        found = super().direction(step)
        self.broken_from -= 1
        if self.broken_from == 0:
            found.gradient["lm_head.weight"][0, 0] = float("nan")
        return found


def test_a_gradient_that_is_not_finite_stops_and_keeps_the_last_good_model(
    corpus, tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setitem(METHODS, "exploding", Exploding)
    run = make(corpus, tiny_config, tmp_path, "exploding", lr=1e-3)
    with pytest.raises(DivergedError, match=r"step 4 is not finite.*exploding\.lr"):
        run()
    (kept,) = checkpoints(tmp_path)
    assert kept.name == "checkpoint-000000003"
    fresh = make(corpus, tiny_config, tmp_path, "exploding", lr=1e-3)
    fresh._resume()
    assert fresh.progress.step == 3
    assert all(torch.isfinite(p).all() for p in fresh.task.model.parameters())


def test_the_schedule_rises_and_falls():
    method = METHODS["finetune"](warmup=0.1, final_lr=0.02)
    rates = [method.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert rates == rates[:10] + sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.02, abs=0.02)
    assert METHODS["finetune"](warmup=0.0, final_lr=1.0).rate(0, 10) == 1.0


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"ssd", "orthograd_tau"}))
def test_a_method_that_explodes_ends_with_an_error_that_says_so(
    name, corpus, tiny_config, tmp_path
):
    run = make(corpus, tiny_config, tmp_path, name, lr=1e30, warmup=0.0)
    with pytest.raises((DivergedError, NonFiniteLossError), match="is not finite"):
        run()
    # What the last checkpoint holds is still numbers.
    assert all(torch.isfinite(t).all() for t in saved(tmp_path).values())


def test_ssd_has_nothing_that_could_explode(corpus, tiny_config, tmp_path):
    run = make(corpus, tiny_config, tmp_path, "ssd", lr=1.0)
    before = {name: p.detach().clone() for name, p in run.update.parameters.items()}
    run()
    assert all((p.abs() <= before[name].abs()).all() for name, p in run.update.parameters.items())


def saved(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(folder)[-1] / "model.safetensors")


def test_clipping_does_not_lengthen_steps_without_a_learning_rate(corpus, tiny_config, tmp_path):
    """Adam's first step does not depend on the gradient's scale, nor does the wanted rise."""
    moved = []
    for clip in (0.0, 0.5):
        run = make(
            corpus, tiny_config, tmp_path / f"{clip}", "gradient_ascent",
            epochs=4, lr="auto", clip=clip, known={"unseen": {"x": 6.0}},
        )  # fmt: skip
        before = weights(run)
        run.total = 1
        run()
        moved.append(torch.cat([(v - before[k]).flatten() for k, v in weights(run).items()]))
    assert moved[0].norm() > 0
    # Of gradients near its eps it does a little.
    assert float(moved[1].norm() / moved[0].norm()) == pytest.approx(1.0, abs=0.02)

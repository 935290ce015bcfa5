"""Attackers' models: who is in them, that they are made once, and what becomes of them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split import PARTS, make_split, write_split
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.informed import Unlearning, other_request
from asr_unlearn.evaluation.attacks.membership import Attackers
from asr_unlearn.evaluation.attacks.processes import run_jobs
from asr_unlearn.evaluation.attacks.relearning import (
    Relearning,
    known_again,
    one_utterance_a_speaker,
)
from asr_unlearn.evaluation.attacks.shadows import Shadow, shadow_corpus
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.from_scratch import TrainingAids
from asr_unlearn.training.finetune import Setup
from tests.support.copying import Copying

CPU = torch.device("cpu")
FLAGS = ["--informed", "2", "--shadows", "2", "--relearn", "true", "--workers", "1"]


@pytest.fixture(scope="module")
def data(corpus, tmp_path_factory):
    """The hums with two speakers to forget, two unseen ones, and three to retain."""
    folder = tmp_path_factory.mktemp("attacks")
    shutil.copytree(corpus, folder, dirs_exist_ok=True)
    manifest = folder / "manifest.jsonl"
    split = make_split(read_manifest(manifest), ["s0", "s1"], seed=0, heldout=0.25, unseen=0.4)
    write_split(folder / "split.json", split, manifest)
    return Corpus.read(manifest, folder / "split.json", folder)


def of(data):
    return [
        "--manifest",
        str(data.cache / "manifest.jsonl"),
        "--split",
        str(data.cache / "split.json"),
    ]


def evaluate(data):
    models = "original,retrained,forgotten"
    main(["evaluate", *of(data), "--models", models, "--out", str(data.cache / "r.json"), *FLAGS])
    entries = read_results(data.cache / "r.json").record["models"]
    return {entry["name"]: entry for entry in entries}


@pytest.fixture(scope="module")
def evaluated(data, tiny_config):
    out = data.cache
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *of(data), "--model", str(tiny_config), "--parts", parts]
        main([*argv, "--out", str(out / name), "--set", "epochs=2"])
    argv = ["unlearn", *of(data), "--model", str(out / "original"), "--out", str(out / "forgotten")]
    options = ["--method", "neggrad_plus", "--set", "epochs=1,alpha=0.8", "--stop.rule", "steps"]
    main([*argv, *options])
    return evaluate(data)


def run_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_figures_of_every_attack(evaluated):
    for name, entry in evaluated.items():
        found, intervals = entry["membership"], entry["ci95"]["membership"]
        attacks = ["loss", "classifier", "lira", "rmia"] + ["informed"] * (name == "forgotten")
        names = {f"{attack}_auc" for attack in attacks}
        assert names == set(intervals) == {k for k in found if k.endswith("_auc")}
        assert found["shadow_models"] == 2
        assert found.get("informed_models") == (2 if name == "forgotten" else None)
        assert entry["relearning"]["limit"] == 100
    # The original has nothing to learn again.
    assert evaluated["original"]["relearning"]["retain_steps"] == 0


def test_attackers_do_to_others_what_was_done(data, evaluated):
    options = run_of(data.cache / "forgotten")["options"]
    assert options["method"] == "neggrad_plus"
    assert options["alpha"] == 0.8
    for number in range(2):
        folder = data.cache / "informed" / "forgotten" / str(number)
        assert run_of(folder)["options"] == options
        rows = [json.loads(x) for x in (folder / "utterances.jsonl").read_text().splitlines()]
        request = other_request(data, number)
        assert {r["speaker"] for r in rows if r["part"] == "forget"} == set(
            request.split.forget_speakers
        )
        assert {r["part"] for r in rows} == {"forget", "unseen"}


def test_shadows_are_trained_as_the_original_was(data, evaluated):
    options = run_of(data.cache / "original")["options"]
    runs = [run_of(data.cache / "shadows" / str(number)) for number in range(2)]
    assert [run["options"] for run in runs] == [options, options]
    assert runs[0]["seed"] != runs[1]["seed"]


def test_what_was_recorded_of_a_training_is_all_that_was_set():
    aids = TrainingAids(ctc=0.3, joined=0.5)
    odd = Setup(
        task="seq2seq",
        language="german",
        filterbank=True,
        augmented=True,
        speeds=(0.9, 1.0),
        crop_seconds=1.5,
        front_end_frozen=True,
        aids=aids,
        window=12.0,
        spelling="lower",
    )
    plain = Setup(task="ctc", front_end_frozen=False, window=None)
    assert all(getattr(odd, f.name) != getattr(Setup(), f.name) for f in fields(Setup))
    for setup in (odd, plain):
        assert Setup.of({"lr": 1e-3, "parts": ["retain"], **setup.recorded()}) == setup


def test_nothing_is_made_twice(data, evaluated, monkeypatch):
    for name in ("informed.unlearn_model", "shadows.train_alike", "relearning.Training"):
        monkeypatch.setattr(f"asr_unlearn.evaluation.attacks.{name}", pytest.fail)
    again = evaluate(data)
    for name, entry in evaluated.items():
        assert again[name]["membership"] == entry["membership"]
        assert again[name]["relearning"] == entry["relearning"]


def test_attackers_are_made_anew_where_the_method_was_another(
    data, evaluated, monkeypatch, tmp_path
):
    shutil.copytree(data.cache, tmp_path / "moved")
    folder = tmp_path / "moved"
    moved = Corpus.read(folder / "manifest.jsonl", folder / "split.json", folder)
    run = run_of(moved.cache / "forgotten")
    run["options"]["alpha"] = 0.9
    (moved.cache / "forgotten" / "run.json").write_text(json.dumps(run))
    made = []

    def unlearn_model(corpus, original, method, out, **_):
        made.append(method)
        shutil.copytree(moved.cache / "forgotten", out)

    monkeypatch.setattr("asr_unlearn.evaluation.attacks.informed.unlearn_model", unlearn_model)
    models = [SavedModel("forgotten", 0, moved.cache / "forgotten")]
    attackers = Attackers.of(models, moved, moved.cache, AttackBudget(informed=1), device=CPU)
    attackers.train(moved.cache, workers=1)
    assert [method.alpha for method in made] == [0.9]


def test_what_is_kept_goes_by_what_is_said_in_the_recordings(data, evaluated):
    """The ids of utterances stay when their transcripts are corrected."""
    said = [replace(u, text=u.text[::-1]) for u in data.manifest]
    original, run = SavedModel.at(data.cache / "original"), run_of(data.cache / "forgotten")

    def kept(corpus):
        made = (original.folder, run, data.cache / "none", CPU, 1, None)
        yield Unlearning(corpus, *made).basis
        yield Shadow(corpus, original.run(), 0, data.cache / "none", CPU, None).basis
        yield Relearning(original, corpus, MeanScore(loss=1.0, cer=0.0), CPU).basis

    before, after = kept(data), kept(replace(data, manifest=said))
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert list(kept(data)) == list(kept(Corpus(list(data.manifest), data.split, data.cache)))


def test_requests_of_others_are_disjoint_and_leave_true_ones_alone(data):
    every = data.split
    requests = [other_request(data, number).split for number in range(3)]
    for request in requests:
        assert len(request.forget_speakers) == 2
        assert not set(request.forget_speakers) & {*every.forget_speakers, *every.unseen_speakers}
        assert request.parts["unseen"] == every.parts["unseen"]
        assert sorted(request.parts["forget"] + request.parts["retain"]) == sorted(
            every.parts["retain"]
        )
        assert not request.parts["test"]
    assert requests == [other_request(data, number).split for number in range(3)]


def test_no_two_requests_share_a_speaker_while_there_are_others(shared_data, tmp_path):
    from data_prep import an4

    an4.main(["--data", str(shared_data / "an4"), "--out", str(tmp_path / "manifest.jsonl")])
    manifest = read_manifest(tmp_path / "manifest.jsonl")
    split = make_split(manifest, ["fash", "mjhp"], seed=0)
    real = Corpus(manifest, split, tmp_path)
    speakers = [s for k in range(20) for s in other_request(real, k).split.forget_speakers]
    assert len(set(speakers)) == 40


def test_too_few_others_are_an_error(data):
    forget = ["s0", "s1", "s2"]
    retained = {u.speaker for u in data.manifest} - {*forget, "s7"}
    assert len(retained) == 4
    split = make_split(data.manifest, forget, seed=0, unseen=0.3)
    with pytest.raises(ValueError, match="an informed attacker forgets 3 other speakers, but only"):
        other_request(Corpus(data.manifest, split, data.cache), 0)


def test_every_speaker_is_in_half_of_the_shadows(data):
    targets = {"s0", "s1", *data.split.unseen_speakers}
    pairs = [(shadow_corpus(data, k).split, shadow_corpus(data, k + 1).split) for k in (0, 2, 4)]
    for one, other in pairs:
        assert set(one.forget_speakers) == set(other.unseen_speakers)
        assert set(one.forget_speakers) | set(one.unseen_speakers) == targets
        for split in (one, other):
            assert split.parts["retain"] == data.split.parts["retain"]
            assert set(split.parts) == set(PARTS)
            known = [u for u in data.manifest if u.id in split.parts["forget"]]
            assert {u.speaker for u in known} == set(split.forget_speakers)
            heldout = data.split.parts["forget_heldout"]
            assert not set(heldout) & {i for ids in split.parts.values() for i in ids}


def test_shadows_need_an_original_that_was_trained(data, evaluated):
    models = [SavedModel("original", 0, data.cache / "forgotten")]
    with pytest.raises(ValueError, match=r"has no run\.json of `asr-unlearn train`"):
        Attackers.of(models, data, data.cache, AttackBudget(shadows=2), device=CPU)


@pytest.mark.parametrize(
    ("models", "flags", "message"),
    [
        ("retrained,forgotten", ["--shadows", "2"], "--shadows: no model is called original"),
        ("retrained,forgotten", ["--relearn", "true"], "--relearn: no model is called original"),
        ("original,forgotten", ["--shadows", "3"], "--shadows 3: give an even number"),
    ],
)
def test_attacks_that_cannot_be_made_are_refused_before_transcribing(
    data, evaluated, models, flags, message, monkeypatch
):
    monkeypatch.setattr(
        "asr_unlearn.evaluation.evaluate.transcribe", lambda *_, **__: pytest.fail("asked")
    )
    argv = ["evaluate", *of(data), "--models", models, *flags]
    with pytest.raises(ValueError, match=message):
        main([*argv, "--out", str(data.cache / "none.json")])


def test_relearning_counts_steps_to_a_loss(data, evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr("asr_unlearn.evaluation.attacks.relearning.LIMIT", 12)
    shutil.copytree(data.cache / "retrained", tmp_path / "retrained")
    model = SavedModel("retrained", 0, tmp_path / "retrained")
    now = evaluated["retrained"]["loss"]["forget"]

    def relearned(share):
        job = Relearning(model, data, MeanScore(share * now, 0.0), CPU)
        assert not job.is_done()
        job()
        assert job.is_done()
        return job.found()

    found = {share: relearned(share) for share in (1.01, 0.998, 0.0)}
    assert found[1.01]["one_utterance_steps"] == found[1.01]["retain_steps"] == 0
    assert found[1.01]["retain_loss"] == pytest.approx(now, rel=1e-4)
    assert 0 < found[0.998]["one_utterance_steps"] <= 12
    assert set(found[0.0]) == {"limit", "one_utterance_loss", "retain_loss"}
    assert found[0.0]["one_utterance_loss"] < now
    assert json.loads((model.folder / "relearning.json").read_text()) == found[0.0]
    assert model.weights() == SavedModel.at(data.cache / "retrained").weights()


def test_the_loss_to_come_back_to():
    rows = [{"part": "forget", "loss": 1.0}, {"part": "forget", "loss": 3.0}]
    assert known_again(rows).loss == 2.0
    rows.append({"part": "unseen", "loss": 7.0})
    assert known_again(rows).loss == pytest.approx(2.5)
    rows[-1]["loss"] = 0.5
    assert known_again(rows).loss == 2.0


def test_one_utterance_of_each_forget_speaker(data):
    chosen = one_utterance_a_speaker(data)
    assert [u.speaker for u in chosen] == ["s0", "s1"]
    assert {u.id for u in chosen} <= set(data.split.parts["forget"])


def test_jobs_side_by_side_all_end_or_say_which_did_not(tmp_path):
    (tmp_path / "source").write_text("by ")
    jobs = [Copying(tmp_path / "source", tmp_path / str(i)) for i in range(3)]
    jobs[0]()
    run_jobs(jobs, 2, tmp_path / "log", "copying")
    by = [job.target.read_text() for job in jobs]
    assert by[0] == f"by {os.getpid()}"
    assert by[0] not in by[1:]
    missing = [Copying(tmp_path / "nowhere", tmp_path / f"{i}?") for i in range(2)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_jobs(missing, 2, tmp_path / "log", "copying")


def test_a_killed_run_leaves_nobody_at_work(tmp_path):
    """Or who takes the run up again would have to share its folders with them."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from asr_unlearn.evaluation.attacks.processes import run_jobs\n"
        "class Job(str):\n"
        "    def is_done(self):\n"
        "        return False\n"
        "    def __call__(self):\n"
        "        Path(self).write_text(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    run_jobs([Job(name) for name in 'ab'], 2, Path('log'), 'sleeping')\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as run:
        pids = [int(eventually((tmp_path / name).read_text)) for name in "ab"]
        run.kill()
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def eventually(wanted, seconds=300):
    """What `wanted` returns, as soon as that is something."""
    for _ in range(10 * seconds):
        with contextlib.suppress(FileNotFoundError):
            if found := wanted():
                return found
        time.sleep(0.1)
    return pytest.fail(f"not within {seconds} s")

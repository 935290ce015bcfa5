"""The search uses what a user can measure, tries the defaults first, and can be resumed."""

import shlex
from dataclasses import replace

import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.tune import TuningProblem, cost, finished, ranked, tune

ORIGINAL = {
    "forget": MeanScore(0.0, 0.0),
    "retain": MeanScore(0.1, 0.02),
    "unseen": MeanScore(0.5, 0.2),
}
TARGET = ORIGINAL["unseen"]


def test_at_the_target_with_the_rest_unchanged_costs_nothing():
    assert cost({**ORIGINAL, "forget": ORIGINAL["unseen"]}, ORIGINAL, TARGET) == 0
    # Nothing forgotten: all of the way in loss and in CER.
    assert cost(ORIGINAL, ORIGINAL, TARGET) == 2


def test_harm_and_overshooting_cost_and_improvement_does_not_pay():
    forgotten = {**ORIGINAL, "forget": ORIGINAL["unseen"]}
    assert cost({**forgotten, "forget": MeanScore(1.0, 0.2)}, ORIGINAL, TARGET) == pytest.approx(1)
    assert cost({**forgotten, "retain": MeanScore(0.2, 0.02)}, ORIGINAL, TARGET) == pytest.approx(
        0.2
    )
    assert cost({**forgotten, "unseen": MeanScore(0.5, 0.4)}, ORIGINAL, TARGET) == pytest.approx(1)
    assert cost({**forgotten, "retain": MeanScore(0.0, 0.0)}, ORIGINAL, TARGET) == 0
    diverged = {**forgotten, "retain": MeanScore(float("nan"), 0.0)}
    assert cost(diverged, ORIGINAL, TARGET) == float("inf")


def test_a_target_error_rate_of_0_is_left_out():
    faultless = MeanScore(TARGET.loss, 0.0)
    forgotten = {**ORIGINAL, "forget": MeanScore(TARGET.loss, 0.1)}
    assert cost(forgotten, ORIGINAL, faultless) == 0


@pytest.fixture
def problem(corpus, tiny_config):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
    task = CTC(model, processor)
    task.freeze_front_end()
    given = {part: data.part(part) for part in ("forget", "retain", "unseen")}
    return TuningProblem(task, Inputs(task), given, Stop(rule="steps"), seed=0)


def test_a_search_that_was_killed_goes_on_where_it_was(problem, tmp_path, monkeypatch):
    before = {name: t.clone() for name, t in problem.task.model.state_dict().items()}
    fixed, journal = {"epochs": 1.0}, tmp_path / "cf_k.journal"

    def killed(*_):
        raise KeyboardInterrupt

    first = tune(problem, "cf_k", fixed, trials=1, journal=journal)
    assert first.trials[0].params == {"lr": pytest.approx(3e-4)}  # The defaults.
    with monkeypatch.context() as patch:
        patch.setattr("asr_unlearn.training.tune.cost", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(problem, "cf_k", fixed, trials=2, journal=journal)
    done = finished(tune(problem, "cf_k", fixed, trials=3, journal=journal))
    assert done[0].value == first.trials[0].value
    # As if it had not been killed; the trial that was is begun again.
    whole = finished(tune(problem, "cf_k", fixed, trials=3, journal=tmp_path / "whole.journal"))
    assert [(t.params, t.value) for t in done] == [(t.params, t.value) for t in whole]
    assert len({t.params["lr"] for t in whole}) == len(ranked(whole)) == 3
    assert all(torch.equal(t, before[n]) for n, t in problem.task.model.state_dict().items())
    assert all(p.requires_grad for p in problem.task.layers()[0].parameters())


def test_a_journal_holds_the_searches_of_other_requests_apart(problem, tmp_path):
    search = {"name": "cf_k", "fixed": {"epochs": 1.0, "lr": 1e-3}, "trials": 1}
    studies = [tune(problem, **search, journal=tmp_path / "j")]
    fewer = {**problem.given, "forget": problem.given["forget"][1:]}
    for change in ({"given": fewer}, {"stop": Stop(rule="steps", every=2)}, {"seed": 1}):
        studies.append(tune(replace(problem, **change), **search, journal=tmp_path / "j"))
    with torch.no_grad():
        problem.task.model.lm_head.bias += 1
    studies.append(tune(problem, **search, journal=tmp_path / "j"))
    assert len({study.study_name for study in studies}) == 5
    assert [len(study.trials) for study in studies] == [1] * 5


def test_a_trial_that_diverges_does_not_end_the_search(problem, tmp_path):
    fixed = {"epochs": 2.0, "lr": 1e30, "warmup": 0.0}
    study = tune(problem, "neggrad_plus", fixed, trials=2, journal=tmp_path / "j")
    assert len(finished(study)) == 2
    assert ranked(study.trials) == []


def test_the_command_prints_the_flags_of_the_best_trial(corpus, tiny_config, tmp_path, capsys):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    original = ["--model", str(tiny_config), "--out", str(tmp_path / "original")]
    main(["train", *data, *original, "--finetune.epochs", "1"])
    argv = ["tune", *data, "--model", str(tmp_path / "original"), "--trials", "2"]
    own = tmp_path / "my methods.py"
    own.write_text("from asr_unlearn.methods.gradient_ascent import GradientAscent\n")
    method = f"{own}:GradientAscent"
    argv += ["--method", method, "--method.epochs", "1", "--out", str(tmp_path / "j")]
    main([*argv, "--stop.rule", "steps", "--stop.by-difficulty", "false"])
    last = shlex.split(capsys.readouterr().out.splitlines()[-1])
    stop = ["--stop.rule", "steps", "--stop.by_difficulty", "false"]
    assert last[:3] == ["--method", method, "--method.lr"]
    assert float(last[3]) > 0
    assert last[4:] == ["--method.epochs", "1.0", *stop]

"""Relearning: the steps until a model has relearned the forget speakers."""

import json
import shutil
from types import SimpleNamespace

import pytest

from asr_unlearn.evaluation.measures.relearning import (
    Relearning,
    one_utterance_a_speaker,
    relearned_target,
    relearning_rate,
)
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from tests.support.attacked_models import CPU


def test_relearning_counts_steps_to_a_loss(data, evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr("asr_unlearn.evaluation.measures.relearning.LIMIT", 12)
    shutil.copytree(data.cache / "retrained", tmp_path / "retrained")
    model = SavedModel("retrained", 0, tmp_path / "retrained")
    now = evaluated["retrained"]["loss"]["forget"]

    def relearned(share):
        job = Relearning(model, data, CPU, MeanScore(share * now, 0.0), 3e-4)
        assert not job.is_done()
        job()
        assert job.is_done()
        return job.found()

    found = {share: relearned(share) for share in (1.01, 0.998, 0.0)}
    assert found[1.01]["one_utterance_steps"] == found[1.01]["retain_steps"] == 0
    assert found[1.01]["retain_loss"] == pytest.approx(now, rel=1e-4)
    assert 0 < found[0.998]["one_utterance_steps"] <= 12
    assert found[1.01]["adapters_steps"] == 0
    losses = {"one_utterance_loss", "retain_loss", "adapters_loss"}
    assert set(found[0.0]) == {"limit", "rate", *losses}
    assert found[0.0]["rate"] == 3e-4
    assert found[0.0]["one_utterance_loss"] < now
    assert found[0.0]["adapters_loss"] < now
    assert found[0.0]["adapters_loss"] != found[0.0]["one_utterance_loss"]
    assert json.loads((model.folder / "relearning.json").read_text()) == found[0.0]
    assert model.weights() == SavedModel.at(data.cache / "retrained").weights()


def test_a_model_that_takes_no_adapters_is_relearned_without(data, tmp_path, monkeypatch, caplog):
    def refuse(model, lora):
        raise InputError("peft cannot adapt it")

    monkeypatch.setattr("asr_unlearn.evaluation.measures.relearning.LIMIT", 4)
    monkeypatch.setattr("asr_unlearn.evaluation.measures.relearning.add_adapters", refuse)
    shutil.copytree(data.cache / "retrained", tmp_path / "retrained")
    model = SavedModel("retrained", 0, tmp_path / "retrained")
    job = Relearning(model, data, CPU, MeanScore(0.0, 0.0), 3e-4)
    job()
    assert set(job.found()) == {"limit", "rate", "one_utterance_loss", "retain_loss"}
    assert "retrained: not relearned by adapters: peft cannot adapt it" in caplog.text


@pytest.mark.parametrize(
    ("options", "rate"),
    [({"lr": 1e-5}, 1e-5), ({"lr": 2e-3}, 3e-4), ({"lr": "auto"}, 3e-5), ({}, 3e-5)],
)
def test_a_model_is_relearned_at_the_rate_that_its_original_was_trained_with(options, rate):
    original = SimpleNamespace(run=lambda: {"options": options})
    assert relearning_rate(original) == rate
    assert relearning_rate(SimpleNamespace(run=dict)) == 3e-5


def test_the_loss_to_come_back_to():
    rows = [{"part": "forget", "loss": 1.0}, {"part": "forget", "loss": 3.0}]
    assert relearned_target(rows).loss == 2.0
    rows.append({"part": "unseen", "loss": 7.0})
    assert relearned_target(rows).loss == pytest.approx(2.5)
    rows[-1]["loss"] = 0.5
    assert relearned_target(rows).loss == 2.0


def test_one_utterance_of_each_forget_speaker(data):
    chosen = one_utterance_a_speaker(data)
    assert [u.speaker for u in chosen] == ["s0", "s1"]
    assert {u.id for u in chosen} <= set(data.split.parts["forget"])

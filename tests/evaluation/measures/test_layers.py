"""The layers of an encoder: probes of each, and their first principal component."""

import numpy as np
import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.evaluation.layer_states import layer_states
from asr_unlearn.evaluation.measures import layers as measure
from asr_unlearn.evaluation.measures.layers import LayerStates, changes, probes
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.evaluation.speaker_probe import probed_utterances
from asr_unlearn.models.saved_model import SavedModel
from tests.support.attacked_models import measured, of

CPU = torch.device("cpu")


def test_a_voice_that_one_layer_holds_is_found_in_that_layer():
    rng = np.random.default_rng(0)
    speakers = [f"s{i % 4}" for i in range(80)]
    noise = rng.normal(size=(80, 6))
    voices = noise + 10 * np.eye(6)[[i % 4 for i in range(80)]]
    found = probes([noise, voices], speakers, ["s0"])
    assert found["probe_forget"]["2"] == found["probe_retain"]["2"] == 1.0
    assert found["probe_forget"]["1"] < 0.6
    assert found["probe_retain"]["1"] < 0.6


def test_without_forgotten_speakers_there_is_no_probe():
    states = np.random.default_rng(0).normal(size=(8, 3))
    assert probes([states], ["a", "b"] * 4, []) == {}
    assert probes([], ["a", "b"] * 4, ["a"]) == {}


def test_models_of_other_depth_have_no_changes():
    states = np.random.default_rng(0).normal(size=(8, 3))
    same = changes([states, states], [states, states])
    assert same["principal_cosine"] == pytest.approx({"1": 1.0, "2": 1.0})
    assert same["principal_shift"] == pytest.approx({"1": 0.0, "2": 0.0})
    assert changes([states], [states, states]) == {}
    assert changes([np.ones((8, 3))], [states]) == {}


def test_states_are_means_over_the_frames_of_each_utterance(data, evaluated):
    model = SavedModel("original", 0, data.cache / "original")
    job = LayerStates(model, data, CPU)
    job()
    assert job.is_done()
    states, utterances = job.found(), probed_utterances(data)
    assert {own.shape[0] for own in states} == {len(utterances)}
    frames = layer_states(model.task(CPU), utterances[:1], reduced=lambda own: own)
    for own, expected in zip(states, frames, strict=True):
        np.testing.assert_allclose(own[0], expected.mean(0), rtol=1e-4, atol=1e-6)


def test_from_the_command_line(data, evaluated):
    """Speakers of so few utterances cannot be probed."""
    found = measured(data, "layers")
    assert "layers" not in found["retrained"]
    for name in ("original", "forgotten"):
        assert found[name]["layers"].keys() == {"principal_cosine", "principal_shift"}
        assert found[name]["layers"]["principal_cosine"].keys() == {"1", "2"}


def test_an_encoder_without_layers_of_frames_is_named(data, evaluated, monkeypatch, caplog):
    monkeypatch.setattr(measure, "layer_states", lambda *_, **__: None)
    monkeypatch.setattr(measure, "VERSION", 0)
    out = data.cache / "none.json"
    models = ["--models", "original", "--out", str(out), "--workers", "1"]
    main(["evaluate", *of(data), *models, "--measures", "layers"])
    assert "original: its encoder has no layers of frames to compare" in caplog.text
    (entry,) = read_results(out).record["models"]
    assert "layers" not in entry

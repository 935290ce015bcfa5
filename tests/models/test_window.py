"""The encoder's window: as long as the utterances need, and gone from what is saved."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import (
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from asr_unlearn.cli.main import main
from asr_unlearn.data.batching import collate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import load_model, model_from_config, save_model
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.models.whisper import shorten_window
from asr_unlearn.runtime.errors import InputError
from tests.support.flags import flags
from tests.support.tiny_model import tiny_whisper_options
from tests.support.whisper_task import load, utterances

OWN = 4


def build(folder, seconds=OWN):
    """A tiny Whisper that takes `seconds`; its weights do not depend on them."""
    folder.mkdir(exist_ok=True)
    options = tiny_whisper_options() | {"max_source_positions": 50 * seconds}
    WhisperConfig(**options).save_pretrained(folder)
    model, processor = model_from_config(str(folder), "ABCD", seed=3)
    with torch.no_grad():
        model.model.decoder.embed_positions.weight.normal_(
            std=1.6, generator=torch.Generator().manual_seed(1)
        )
    return task_for(model.eval(), processor)


@pytest.fixture
def task(tmp_path):
    return build(tmp_path / "whole")


@pytest.fixture
def one_second(tmp_path, task):
    """The same weights in a Whisper whose own window is one second: the reference."""
    short = build(tmp_path / "short", seconds=1)
    weights = task.model.state_dict()
    name = "model.encoder.embed_positions.weight"
    short.model.load_state_dict(weights | {name: weights[name][:50]})
    return short


def batch_of(task):
    """Three utterances with room to spare: a wave as long as the window is cut off at its end."""
    return collate([Inputs(task, load=load)(u) for u in utterances()[:3]])


def test_a_shorter_window_is_a_model_of_that_window(task, one_second):
    whole = task.losses(batch_of(task))
    assert set_window(task, "auto", utterances()) == 1
    batch = batch_of(task)
    torch.testing.assert_close(batch.inputs, batch_of(one_second).inputs, rtol=0, atol=0)
    expected = one_second.losses(batch_of(one_second))
    torch.testing.assert_close(task.losses(batch), expected, rtol=0, atol=0)
    assert task.score(batch).texts == one_second.score(batch).texts
    for ours, theirs in zip(task.states(batch), one_second.states(batch), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    # And it is not what the whole window says, or this would compare nothing.
    assert (whole - expected).abs().max() > 1e-3


def test_gradients_are_those_of_a_model_of_that_window(task, one_second):
    set_window(task, 1.0, ())
    found = {}
    for name, each in (("ours", task), ("theirs", one_second)):
        each.losses(batch_of(each)).mean().backward()
        found[name] = {n: p.grad for n, p in each.model.named_parameters() if p.grad is not None}
    assert found["ours"].keys() == found["theirs"].keys()
    assert len(found["ours"]) == sum(p.requires_grad for p in task.model.parameters()) > 0
    for name, gradient in found["ours"].items():
        torch.testing.assert_close(gradient, found["theirs"][name], rtol=1e-5, atol=1e-7)


def test_an_utterance_in_a_batch_is_the_utterance_alone(task):
    set_window(task, "auto", utterances())
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    together = task.losses(collate(examples))
    alone = torch.cat([task.losses(collate([example])) for example in examples])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_what_is_saved_has_the_whole_window(task, tmp_path):
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    batch = batch_of(task)
    whole = task.losses(batch)
    set_window(task, "auto", utterances())
    task.losses(batch)
    save_model(task.model, task.processor, tmp_path / "saved")
    model, processor = load_model(str(tmp_path / "saved"))
    assert model.config.max_source_positions == 50 * OWN
    assert processor.feature_extractor.chunk_length == OWN
    assert model.state_dict().keys() == before.keys()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    again = task_for(model.eval(), processor)
    torch.testing.assert_close(again.losses(batch), whole, rtol=0, atol=0)


def test_an_error_within_leaves_the_encoder_whole(task):
    set_window(task, "auto", utterances())
    encoder = task.model.model.encoder
    encoder.layers[0].register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        task.losses(batch_of(task))
    assert encoder.embed_positions.num_embeddings == 50 * OWN
    assert task.model.config.max_source_positions == 50 * OWN


def test_a_teacher_has_the_window_of_its_student(task):
    set_window(task, "auto", utterances())
    assert task.with_model(task.model).front_end.window == 1


@given(seconds=st.floats(0.01, OWN))
def test_windows_are_whole_seconds_that_hold_the_longest(tmp_path_factory, seconds):
    task = build(tmp_path_factory.getbasetemp() / "windows")
    longest = replace(utterances()[0], seconds=seconds)
    shorter = replace(utterances()[1], seconds=seconds / 2)
    assert set_window(task, "auto", [shorter, longest]) == math.ceil(seconds)


def test_windows_that_are_none_are_refused(task):
    for seconds in (OWN + 1.0, float("nan"), 0.0, -1.0):
        with pytest.raises(InputError, match="give seconds above 0, up to 4"):
            set_window(task, seconds, ())
    assert set_window(task, 1.0, ()) == 1
    assert set_window(task, "full", utterances()) == OWN
    assert set_window(task, "auto", ()) == OWN
    # An unmeasured length may be any.
    assert set_window(task, "auto", [replace(utterances()[0], seconds=0.0)]) == OWN
    set_window(task, 1.0, ())
    with pytest.raises(InputError, match=r"has 1\.5 s; the encoder's window holds 1 s"):
        task.target(replace(utterances()[0], seconds=1.5))


def test_what_has_no_window_to_shorten_keeps_its_own(tmp_path):
    options = tiny_whisper_options() | {"max_source_positions": 100}
    model = WhisperForAudioClassification(WhisperConfig(**options, num_labels=2)).eval()
    classifier = task_for(model, WhisperFeatureExtractor(20, chunk_length=2))
    assert set_window(classifier, "auto", utterances()) is None
    assert classifier.front_end.length == 200
    with pytest.raises(InputError, match="only a Whisper that transcribes"):
        set_window(classifier, 1.0, ())


def test_a_classifier_is_given_a_shorter_window_for_good(tmp_path):
    """It is then the model that has that window, with the same weights, from the start."""
    options = tiny_whisper_options() | {"num_labels": 2}
    extractor = WhisperFeatureExtractor(20, chunk_length=4)
    model = WhisperForAudioClassification(WhisperConfig(**options | {"max_source_positions": 200}))
    shorten_window(model.eval(), extractor, 1.5)
    save_model(model, extractor, tmp_path)
    loaded, made = load_model(str(tmp_path))
    assert (made.chunk_length, made.n_samples, made.nb_max_frames) == (2, 32_000, 200)
    assert loaded.config.max_source_positions == 100
    small = WhisperForAudioClassification(WhisperConfig(**options | {"max_source_positions": 100}))
    small.load_state_dict(model.state_dict())
    features = torch.randn(2, 20, 200)
    with torch.no_grad():
        expected = small.eval()(features).logits
        assert torch.equal(loaded(features).logits, expected)
    classifier = task_for(loaded, made)
    assert (classifier.front_end.window, classifier.front_end.length) == (2, 200)
    for seconds in (3.0, 0.0):
        with pytest.raises(InputError, match="give seconds above 0, up to 2"):
            shorten_window(loaded, made, seconds)
    with pytest.raises(InputError, match="has no window of its own"):
        shorten_window(loaded, Wav2Vec2FeatureExtractor(), 1.0)


def test_positions_are_those_of_openai_and_never_trained(task, tmp_path):
    """Fixed sinusoids (Radford et al., 2022): a shorter window has the first rows."""
    save_model(task.model, task.processor, tmp_path / "saved")
    loaded = task_for(*load_model(str(tmp_path / "saved")))
    positions = loaded.model.model.encoder.embed_positions
    assert isinstance(positions, nn.Embedding)
    assert not positions.weight.requires_grad
    half = positions.embedding_dim // 2
    scales = torch.exp(-math.log(10_000) / (half - 1) * torch.arange(half))
    angles = torch.arange(50 * OWN)[:, None] * scales
    torch.testing.assert_close(positions.weight, torch.cat([angles.sin(), angles.cos()], dim=1))


def test_the_window_is_recorded_and_evaluated_with(corpus, tmp_path):
    """From training to the deletion record, which is measured again in the same window."""
    options = tiny_whisper_options() | {"max_source_positions": 50 * OWN, "init_std": 0.08}
    WhisperConfig(**options).save_pretrained(tmp_path / "config")
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    for name, parts, window in (("original", "retain,forget", "auto"), ("retrained", "retain", 3)):
        argv = ["train", *data, "--model", str(tmp_path / "config"), "--parts", parts]
        argv += ["--window", str(window), *flags("finetune", epochs=1, lr=1e-3)]
        main([*argv, "--out", str(tmp_path / name)])
    argv = ["unlearn", *data, "--model", str(tmp_path / "original"), "--stop.rule", "steps"]
    argv += ["--method", "gradient_ascent", *flags("method", epochs=1, lr=1e-3)]
    main([*argv, "--out", str(tmp_path / "forgotten")])
    run = {
        name: json.loads((tmp_path / name / "run.json").read_text())["options"]["window"]
        for name in ("original", "retrained", "forgotten")
    }
    # All recordings are shorter than a second.
    assert run == {"original": 1, "retrained": 3, "forgotten": 1}
    losses = {}
    for window, recorded in (("full", None), ("auto", 1)):
        out = tmp_path / f"{window}.json"
        argv = ["evaluate", *data, "--models", "original,retrained,forgotten"]
        main([*argv, "--window", window, "--out", str(out)])
        results = json.loads(out.read_text())
        assert results.get("window") == recorded
        losses[window] = results["models"][0]["loss"]["forget"]
    assert abs(losses["full"] - losses["auto"]) > 1e-4
    assert json.loads((tmp_path / "forgotten" / "deletion_record.json").read_text())["window"] == 1
    main(["verify", "--model", str(tmp_path / "forgotten"), "--full", "true"])
    main(["report", "--results", str(tmp_path / "auto.json")])
    said = "Evaluated with an encoder window of 1 s"
    for name in ("auto-report.md", "auto-report.html"):
        assert said in (tmp_path / name).read_text()
    argv = ["evaluate", *data, "--models", "original", "--out", str(tmp_path / "none.json")]
    with pytest.raises(InputError, match="window 5: give seconds above 0, up to 4"):
        main([*argv, "--window", "5"])


@pytest.mark.parametrize(
    ("window", "remedy"), [("auto", "--window full"), ("full", "leave it out")]
)
def test_an_utterance_that_is_longer_than_the_manifest_says_is_named(task, window, remedy):
    set_window(task, window, [replace(u, seconds=0.9) for u in utterances()])
    inputs = Inputs(task, load=lambda _: np.zeros((OWN if window == "full" else 1) * 16_000 + 640))
    with pytest.raises(InputError, match=f"utterance a: .* s of audio, .*{remedy}"):
        inputs(utterances()[0])

"""CKA by layer: which layers and frames, and what cannot be compared."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig

from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.evaluation import layer_similarity
from asr_unlearn.evaluation.layer_similarity import (
    LayerSimilarity,
    compared_utterances,
    similarity,
)
from asr_unlearn.evaluation.layer_states import FRAMES, layer_states
from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import task_for
from tests.support.tiny_families import tiny_config as config
from tests.support.tiny_model import tiny_ecapa_options, tiny_options
from tests.support.whisper_models import multilingual_whisper

CPU = torch.device("cpu")


@pytest.fixture
def data(corpus):
    return Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")


@pytest.fixture
def made(data, tmp_path):
    """Makes a wav2vec2 of random weights with these options of its config."""

    def make(name, seed=0, **options):
        config = tmp_path / f"config-{name}"
        AutoConfig.for_model(
            "wav2vec2", **(tiny_options() | options), feat_extract_norm="layer"
        ).save_pretrained(config)
        model, processor = model_from_config(str(config), alphabet_of(data.manifest), seed)
        save_model(model, processor, tmp_path / name)
        return SavedModel(name, 0, tmp_path / name)

    return make


def test_a_model_is_like_itself_and_unlike_another(data, made):
    first, second = made("first"), made("second", seed=1)
    likeness = LayerSimilarity(data, CPU)
    same, other = likeness.of(first, first), likeness.of(first, second)
    assert set(same) == set(other) == {"forget", "test"}
    for part in same:
        assert same[part] == pytest.approx({"1": 1.0, "2": 1.0})
        assert all(0 < cka < 0.98 for cka in other[part].values())


def test_hidden_sizes_may_differ_and_numbers_of_layers_may_not(data, made, caplog):
    small, wide = made("small"), made("wide", hidden_size=24)
    deep = made("deep", num_hidden_layers=3)
    likeness = LayerSimilarity(data, CPU)
    assert set(likeness.of(small, wide)["forget"]) == {"1", "2"}
    assert not caplog.records
    assert likeness.of(small, deep) == {}
    assert "the layers of its encoder cannot be compared" in caplog.text


def test_the_states_are_those_that_transformers_returns(data, made):
    task = made("model").task(CPU)
    utterances = data.part("forget")[:3]
    found = layer_states(task, utterances)
    assert not any(layer._forward_hooks for layer in task.layers())
    assert [each.shape for each in found] == [(3 * FRAMES, 16)] * 2
    for place, utterance in enumerate(utterances):
        wave = collate([Inputs(task, targets=False)(utterance)]).inputs
        with torch.no_grad():
            hidden = task.model(wave, output_hidden_states=True).hidden_states
        frames = hidden[1].shape[1]
        middles = [int((i + 0.5) / FRAMES * frames) for i in range(FRAMES)]
        own = found[0][place * FRAMES : (place + 1) * FRAMES]
        torch.testing.assert_close(own, hidden[1][0, middles], rtol=1e-4, atol=1e-5)


def test_the_silence_in_a_window_is_not_compared(data):
    """What a Whisper adds to fill its window has states of its own."""
    whisper = task_for(*multilingual_whisper(), CPU)
    short = data.manifest[0]
    states, true = whisper.states(collate([Inputs(whisper, targets=False)(short)]))
    assert 0 < int(true.sum()) < states.shape[1]
    found = layer_states(whisper, [short])
    assert len(found) == whisper.model.config.encoder_layers
    given = []
    hook = whisper.model.model.encoder.layers[0].register_forward_hook(
        lambda *given_and_made: given.append(given_and_made[2])
    )
    with torch.no_grad():
        whisper.states(collate([Inputs(whisper, targets=False)(short)]))
    hook.remove()
    whole = given[0][0] if isinstance(given[0], tuple) else given[0]
    own = whole[0][true[0]]
    middles = ((torch.arange(FRAMES) + 0.5) / FRAMES * len(own)).long()
    torch.testing.assert_close(found[0], own[middles])


# A frame rate of its own within the encoder, an encoder that is given single utterances, patches.
@pytest.mark.parametrize(
    ("kind", "task"),
    [("sew", "ctc"), ("granite_speech5_ctc", "ctc"), ("tdnn", "ctc"), ("hubert", "classification"),
     ("audio-spectrogram-transformer", "classification")],
)  # fmt: skip
def test_layers_of_other_families_and_never_the_head(kind, task, data, tmp_path):
    config(kind).save_pretrained(tmp_path)
    words = ["s0", "s1"] if task == "classification" else alphabet_of(data.manifest)
    other = task_for(*model_from_config(str(tmp_path), words, 0, task), CPU)
    found = layer_states(other, data.manifest[:2])
    assert [each.shape for each in found] == [(2 * FRAMES, 16)] * 2


def test_blocks_over_an_extended_utterance_are_not_compared(data, tmp_path):
    EcapaConfig(**tiny_ecapa_options(), num_labels=2).save_pretrained(tmp_path)
    task = task_for(*model_from_config(str(tmp_path), ["s0", "s1"], 0), CPU)
    assert layer_states(task, data.manifest[:2]) is None


def test_the_figures_are_cached_and_the_reference_is_encoded_once(data, made, monkeypatch):
    models = [made("retrained"), made("one", seed=1), made("two", seed=2)]
    encoded = []
    of = layer_similarity.layer_states

    def counted(task, utterances, description):
        encoded.append(description)
        return of(task, utterances, description)

    monkeypatch.setattr(layer_similarity, "layer_states", counted)
    likeness = LayerSimilarity(data, CPU)
    found = [likeness.of(models[0], model) for model in models[1:]]
    assert sorted(encoded) == sorted(2 * [f"{m.name}, layers" for m in models])
    assert [likeness.of(models[0], model) for model in models[1:]] == found
    assert LayerSimilarity(data, CPU).of(models[0], models[1]) == found[0]
    assert len(encoded) == 6
    kept = json.loads((models[1].folder / "cka.json").read_text())
    assert kept == found[0]
    # Another reference, other figures.
    assert likeness.of(models[2], models[1]) != found[0]


def test_a_sample_is_drawn_by_the_seed_of_the_split(data):
    chosen = compared_utterances(data, "forget", 3)
    assert len(chosen) == 3
    assert {u.id for u in chosen} < {u.id for u in data.part("forget")}
    assert compared_utterances(data, "forget", 3) == chosen
    others = [
        compared_utterances(replace(data, split=replace(data.split, seed=seed)), "forget", 3)
        for seed in range(1, 6)
    ]
    assert any(other != chosen for other in others)


def test_a_layer_without_variance_is_left_out():
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    assert similarity([torch.ones(8, 3), x], [x, x]) == pytest.approx({"2": 1.0})

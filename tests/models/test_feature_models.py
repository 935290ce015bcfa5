"""Models that take features: an utterance in a batch is the utterance alone, as in transformers.

OmniASR, which takes the wave in its own way, is held to the same.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import (
    AutoFeatureExtractor,
    GraniteSpeech5FeatureExtractor,
    LasrFeatureExtractor,
    ParakeetFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Speech2TextFeatureExtractor,
)

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.config import read_config
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.features import FEATURES, FeatureFrontEnd
from asr_unlearn.models.loading import ModelError, model_from_config, pretrained_model
from asr_unlearn.models.supported import FEATURE_MODELS
from asr_unlearn.models.tasks import task_for
from asr_unlearn.runtime.errors import InputError
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_families import tiny_family

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")

WAVES = {"a": 9_000, "b": 5_500, "c": 7_321, "d": 9_900}
CTC_MODELS = [("ctc", kind, {}) for kind in (*FEATURE_MODELS, "omniasr_ctc")] + [
    ("ctc", "wav2vec2-bert", {"position_embeddings_type": "relative"}),
    ("ctc", "wav2vec2-bert", {"position_embeddings_type": "rotary"}),
]
CLASSIFIERS = [
    ("classification", "wav2vec2-bert", {}),
    ("classification", "audio-spectrogram-transformer", {}),
]
MODELS = CTC_MODELS + CLASSIFIERS
NAMES = ["-".join([task, kind, *changes.values()]) for task, kind, changes in MODELS]


def utterances():
    return [
        Utterance(id=name, audio=Path(name), speaker=name, seconds=samples / 16_000, text="AB")
        for name, samples in WAVES.items()
    ]


def load(utterance):
    rng = np.random.default_rng(WAVES[utterance.id])
    return 0.1 * rng.standard_normal(WAVES[utterance.id]).astype(np.float32)


def build(folder, task, kind, changes):
    """A model from a config, with weights at random so that frames and classes differ."""
    tiny_family(kind, **changes).save_pretrained(folder)
    vocabulary = "ABCD" if task == "ctc" else [u.id for u in utterances()]
    model, processor = model_from_config(str(folder), vocabulary, 0, task)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return task_for(model.eval(), processor)


def batches(task):
    examples = [Inputs(task, load=load)(u) for u in utterances()]
    return collate(examples), [collate([e]) for e in examples]


@pytest.mark.parametrize(("task", "kind", "changes"), MODELS, ids=NAMES)
def test_a_batch_is_its_utterances_alone(task, kind, changes, tmp_path):
    task = build(tmp_path, task, kind, changes)
    task.model.double()
    assert task.batches_are_exact
    for frozen in (False, True):
        if frozen:
            task.freeze_front_end()
        together, alone = batches(task)
        with torch.no_grad():
            logits = task.logits(together)
            _, texts, _ = task.score(together)
            states, own = task.states(together)
            assert states.shape[:2] == own.shape
            for i, batch in enumerate(alone):
                expected = task.logits(batch)[0]
                found = logits[i][: len(expected)] if expected.dim() > 1 else logits[i]
                torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
                assert task.score(batch).texts == [texts[i]]
                alone_states, alone_own = task.states(batch)
                assert own[i].sum() == alone_own.sum() > 0
                torch.testing.assert_close(states[i][own[i]], alone_states[alone_own])
    assert logits.std(0).mean() > 1e-3


@pytest.mark.parametrize(("task", "kind", "changes"), MODELS, ids=NAMES)
def test_logits_are_transformers_of_its_own_extractors_inputs(task, kind, changes, tmp_path):
    task = build(tmp_path, task, kind, changes)
    extractor = getattr(task.processor, "feature_extractor", task.processor)
    _, alone = batches(task)
    for utterance, batch in zip(utterances(), alone, strict=True):
        inputs = extractor(load(utterance), sampling_rate=16_000, return_tensors="pt")
        with torch.no_grad():
            expected = task.model(**inputs).logits[0]
            found = task.logits(batch)[0]
        if task.one_label:
            torch.testing.assert_close(found, expected)
            continue
        # Extractors may make a last row of padding.
        frames = int(task.frames(batch.samples))
        assert len(expected) - frames in (0, 1)
        assert len(found) == frames
        torch.testing.assert_close(found, expected[:frames], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("task", "kind", "changes"), MODELS, ids=NAMES)
def test_a_saved_model_says_the_same(task, kind, changes, tmp_path):
    task = build(tmp_path / "config", task, kind, changes)
    together, _ = batches(task)
    loaded, _ = says_the_same_when_loaded(task, together, tmp_path / "saved")
    assert type(loaded.model) is type(task.model)
    assert type(loaded.processor) is type(task.processor)
    assert loaded.cache_key() == task.cache_key()


def test_the_adapter_of_wav2vec2_bert_sees_padding(tmp_path):
    task = build(tmp_path, "ctc", "wav2vec2-bert", {"add_adapter": True})
    assert not task.batches_are_exact
    together, alone = batches(task)
    expected = torch.cat([task.losses(batch) for batch in alone])
    assert not torch.allclose(task.losses(together), expected, atol=1e-3)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_positions_kept_from_inference_serve_in_training(positions, tmp_path):
    task = build(tmp_path, "ctc", "wav2vec2-bert", {"position_embeddings_type": positions})
    together, _ = batches(task)
    with torch.inference_mode():
        expected = task.losses(together)
    losses = task.losses(together)
    torch.testing.assert_close(losses, expected)
    losses.sum().backward()


EXTRACTORS = [
    SeamlessM4TFeatureExtractor(feature_size=8, num_mel_bins=8),
    ParakeetFeatureExtractor(feature_size=8),
    LasrFeatureExtractor(feature_size=8),
    GraniteSpeech5FeatureExtractor(num_mel_bins=8),
    Speech2TextFeatureExtractor(feature_size=8, num_mel_bins=8),
]


def test_every_extractor_is_tested():
    assert {type(e).__name__ for e in EXTRACTORS} == set(FEATURES)


@pytest.mark.filterwarnings("ignore:.*mel filter")
@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda e: type(e).__name__)
@given(samples=st.integers(800, 4_000))
def test_the_number_of_features_is_the_extractors(extractor, samples):
    wave = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    made = extractor(
        wave, sampling_rate=16_000, return_attention_mask=True, padding=True, return_tensors="pt"
    )
    counted = FEATURES[type(extractor).__name__](extractor, torch.tensor([samples]))
    assert made.attention_mask.sum(-1).tolist() == counted.tolist()


@pytest.mark.parametrize("kind", FEATURE_MODELS)
def test_an_utterance_too_short_for_a_frame_is_named(kind, tmp_path):
    task = build(tmp_path, "ctc", kind, {})
    short = Utterance(id="short", audio=Path("short"), speaker="s", seconds=0.01, text="A")
    with pytest.raises(InputError, match="utterance short: 200 samples are too few"):
        Inputs(task, load=lambda _: np.ones(200, np.float32))(short)


def test_a_wave_longer_than_the_spectrogram_is_refused(tmp_path):
    task = build(tmp_path, "classification", "audio-spectrogram-transformer", {})
    with pytest.raises(InputError, match=r"2.0 s of audio; the model takes spectrograms of 1 s"):
        task.encode(np.zeros(32_000, np.float32))


def test_the_cached_features_are_the_computed_ones(tmp_path):
    task = build(tmp_path / "config", "ctc", "parakeet_ctc", {})
    cached = Inputs(task, load=load, feature_cache=tmp_path / "cache")
    first = [cached(u) for u in utterances()]
    assert len(list((tmp_path / "cache").rglob("*.features"))) == len(WAVES)

    def gone(utterance):
        raise AssertionError(f"{utterance.id} is read again")

    again = Inputs(task, load=gone, feature_cache=tmp_path / "cache")
    assert all(
        torch.equal(again(u).input, e.input) for u, e in zip(utterances(), first, strict=True)
    )
    # Another extractor has features of its own.
    extractor = ParakeetFeatureExtractor(feature_size=16, preemphasis=0.5)
    assert FeatureFrontEnd(task.model, extractor).cache_key() != task.cache_key()


def test_the_extractor_beside_the_config_is_taken(tmp_path):
    tiny_family("parakeet_ctc").save_pretrained(tmp_path)
    ParakeetFeatureExtractor(feature_size=16, preemphasis=0.5).save_pretrained(tmp_path)
    _, processor = model_from_config(str(tmp_path), "AB", 0)
    beside = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert processor.feature_extractor.to_dict() == beside.to_dict()
    assert processor.feature_extractor.preemphasis == 0.5


def test_an_odd_number_of_features_is_refused_in_one_line(tmp_path):
    tiny_family("wav2vec2-bert", feature_projection_input_dim=33).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="feature_projection_input_dim=33: give an even") as said:
        model_from_config(str(tmp_path), "AB", 0)
    assert "\n" not in str(said.value)


def test_a_new_vocabulary_is_that_of_the_head_and_of_the_encoder_that_is_conditioned_on_it(
    tmp_path,
):
    tiny_family("granite_speech5_ctc").save_pretrained(tmp_path / "config")
    model, processor = model_from_config(str(tmp_path / "config"), "ABC", 0)
    assert len(processor.tokenizer) == 6
    assert model.encoder.out_mid.in_features == 6
    assert model.ctc_head.weight is model.encoder.out.weight
    assert read_config(str(tmp_path / "config")).vocab_size == 12


@pytest.mark.parametrize("kind", ["parakeet_ctc", "granite_speech5_ctc"])
def test_an_encoder_without_a_tokenizer_gets_a_new_head(kind, tmp_path):
    model, processor = model_from_config_of(kind, "ABCDEFG", tmp_path / "config")
    model.save_pretrained(tmp_path / "saved")
    processor.feature_extractor.save_pretrained(tmp_path / "saved")
    found, own = pretrained_model(str(tmp_path / "saved"), "ABC", "ctc")
    assert len(own.tokenizer) == len(found.ctc_head.weight) == 6
    before = dict(model.named_parameters())
    for name, parameter in found.named_parameters():
        kept = "ctc_head" not in name and "encoder.out" not in name
        assert (before[name].shape == parameter.shape) == kept or name == "encoder.out_mid.bias"
        if kept:
            assert torch.equal(parameter, before[name])
    task = task_for(found.eval(), own)
    assert torch.isfinite(task.losses(batches(task)[0])).all()


def test_an_encoder_that_lacks_weights_is_refused(tmp_path):
    model, processor = model_from_config_of("parakeet_ctc", "ABC", tmp_path / "config")
    model.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    weights = load_file(tmp_path / "saved" / "model.safetensors")
    del weights["encoder.layers.1.norm_out.weight"]
    save_file(weights, tmp_path / "saved" / "model.safetensors", metadata={"format": "pt"})
    for vocabulary in (None, "ABC"):
        with pytest.raises(ModelError, match=r"lacks 1 of the model's weights.*norm_out"):
            pretrained_model(str(tmp_path / "saved"), vocabulary)


def model_from_config_of(kind, vocabulary, folder):
    tiny_family(kind).save_pretrained(folder)
    return model_from_config(str(folder), vocabulary, 0)

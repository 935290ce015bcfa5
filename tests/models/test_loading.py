"""Models from a config, back from disk, and through transformers' own pipeline."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoProcessor,
    Wav2Vec2Processor,
    WhisperConfig,
    pipeline,
)

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.batching import collate
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.models.config import is_bare_config
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.waveform import ConvFrontEnd
from asr_unlearn.models.loading import (
    ModelError,
    load_model,
    model_from_config,
    pretrained_model,
    save_model,
)
from asr_unlearn.models.processors import character_processor
from asr_unlearn.models.tasks import CTC
from asr_unlearn.runtime.errors import InputError
from tests.support.saved_again import says_the_same_when_loaded
from tests.support.tiny_families import tiny_family
from tests.support.tiny_model import tiny_options, tiny_whisper_options


@pytest.fixture
def manifest(corpus):
    return read_manifest(corpus / "manifest.jsonl")


@pytest.fixture
def built(tiny_config, manifest):
    return model_from_config(str(tiny_config), alphabet_of(manifest), seed=3)


def test_the_vocabulary_is_the_corpus_and_label_0_the_blank(built, manifest):
    model, processor = built
    assert alphabet_of(manifest) == ["A", "B", "C", "D"]
    assert processor.tokenizer("AB CAD").input_ids == [3, 4, 2, 5, 3, 6]
    assert model.config.pad_token_id == processor.tokenizer.pad_token_id == 0
    assert model.config.vocab_size == len(processor.tokenizer) == model.lm_head.out_features == 7


def test_the_seed_gives_the_weights(built, tiny_config, manifest):
    again, _ = model_from_config(str(tiny_config), alphabet_of(manifest), seed=3)
    other, _ = model_from_config(str(tiny_config), alphabet_of(manifest), seed=4)
    weights = built[0].state_dict()
    assert all(torch.equal(t, weights[k]) for k, t in again.state_dict().items())
    assert not torch.equal(other.lm_head.weight, built[0].lm_head.weight)


def test_a_saved_model_says_the_same_and_so_does_the_pipeline(built, manifest, tmp_path):
    model, processor = built
    task = CTC(model.eval(), processor)
    # As initialised every frame is alike, and transcripts would agree for nothing.
    with torch.no_grad():
        model.lm_head.weight.normal_(std=20.0)
        model.lm_head.bias[0] = 5.0
    batch = collate([Inputs(task)(u) for u in manifest[:4]])
    _, texts = says_the_same_when_loaded(task, batch, tmp_path)
    assert len(set(texts)) > 1
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path))
    for utterance, text in zip(manifest[:4], texts, strict=True):
        assert recogniser(load_audio(utterance.audio))["text"] == text
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("family", ["hubert", "unispeech", "unispeech-sat"])
def test_kin_of_wav2vec2_start_from_a_config(family, tmp_path, manifest):
    config = AutoConfig.for_model(family, **tiny_options(), feat_extract_norm="layer")
    config.save_pretrained(tmp_path / "config")
    model, processor = model_from_config(str(tmp_path / "config"), alphabet_of(manifest), seed=0)
    task = CTC(model.eval(), processor)
    says_the_same_when_loaded(task, collate([Inputs(task)(manifest[0])]), tmp_path / "saved")


def test_what_is_a_bare_config(built, tiny_config, tmp_path):
    assert is_bare_config(str(tiny_config))
    assert is_bare_config(str(tiny_config / "config.json"))
    save_model(*built, tmp_path)
    assert not is_bare_config(str(tmp_path))
    assert not is_bare_config("facebook/wav2vec2-base")


def test_a_model_without_a_processor_gets_the_corpus_vocabulary(built, tmp_path):
    built[0].save_pretrained(tmp_path)
    model, processor = pretrained_model(str(tmp_path), vocabulary=list("XYZ"))
    assert model.config.vocab_size == len(processor.tokenizer) == model.lm_head.out_features == 6
    with pytest.raises(ModelError, match="no feature extractor and no tokenizer: save what"):
        load_model(str(tmp_path))


def test_the_half_of_a_processor_that_is_missing_is_named(built, tmp_path):
    model, processor = built
    for half, saved in (
        ("feature extractor", processor.tokenizer),
        ("tokenizer", processor.feature_extractor),
    ):
        folder = tmp_path / half
        model.save_pretrained(folder)
        saved.save_pretrained(folder)
        with pytest.raises(ModelError, match=rf"no {half}: save .* Wav2Vec2Processor\(feature_"):
            load_model(str(folder))


def test_a_whisper_without_a_tokenizer_is_refused(tmp_path):
    WhisperConfig(**tiny_whisper_options()).save_pretrained(tmp_path / "config")
    model, processor = model_from_config(str(tmp_path / "config"), "ABCD", seed=0)
    model.save_pretrained(tmp_path)
    processor.feature_extractor.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no tokenizer: save .* WhisperProcessor\("):
        load_model(str(tmp_path))


def test_weights_that_must_be_converted_are_never_drawn_anew(built, tmp_path):
    save_model(*built, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(built[0].state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin only.*save_pretrained"):
        load_model(str(tmp_path))
    with pytest.raises(ModelError, match=r"pytorch_model\.bin only"):
        model_from_config(str(tmp_path), "ABCD", seed=0)


def test_what_cannot_be_loaded_is_said():
    said = r"cannot load a model from .*: there is no such folder here; give .*config\.json"
    for source in ("no/such-model", "nowhere"):
        with pytest.raises(ModelError, match=said):
            pretrained_model(source, vocabulary=["A"])


def test_a_mistyped_folder_is_not_searched_on_the_hub(built, tmp_path, monkeypatch):
    save_model(*built, tmp_path / "out" / "original")
    save_model(*built, tmp_path / "out" / "seed1" / "original")
    monkeypatch.chdir(tmp_path)
    for source in ("out/orignal", "./out/orignal", str(tmp_path / "out" / "orignal")):
        with pytest.raises(ModelError, match=r"no model folder .*orignal; .* original, seed1/orig"):
            load_model(source)
    with pytest.raises(ModelError, match=r"no model folder nowhere/at/all; .* no models"):
        load_model("nowhere/at/all")


def test_a_model_with_another_extractor_than_its_own_is_refused():
    model = AutoModelForCTC.from_config(tiny_family("wav2vec2-bert"))
    with pytest.raises(InputError, match="Wav2Vec2BertForCTC with Wav2Vec2FeatureExtractor: "):
        CTC(model, character_processor("AB", attention_mask=True))


def test_a_model_without_convolutions_over_the_wave_is_refused():
    model = AutoModelForCTC.from_config(tiny_family("parakeet_ctc"))
    with pytest.raises(InputError, match="ParakeetForCTC has no convolutional front end"):
        ConvFrontEnd(model, None)


@pytest.mark.parametrize("saved_in", [torch.float16, torch.bfloat16])
def test_half_precision_is_only_how_a_model_is_saved(saved_in, built, tmp_path):
    model, processor = built
    save_model(model.to(saved_in), processor, tmp_path)
    loaded, _ = load_model(str(tmp_path))
    assert {t.dtype for t in loaded.state_dict().values()} == {torch.float32}
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight.float())


def without(weights, tmp_path, built):
    """A saved model whose file lacks the weights with these names."""
    model, processor = built
    save_model(model, processor, tmp_path)
    kept = {k: t for k, t in load_file(tmp_path / "model.safetensors").items() if k not in weights}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return str(tmp_path)


def test_weights_that_are_lacking_are_not_made_up(built, tmp_path):
    source = without({"wav2vec2.encoder.layers.0.attention.q_proj.weight"}, tmp_path, built)
    with pytest.raises(ModelError, match=r"lacks 1 .*q_proj\.weight …; save the whole"):
        load_model(source)
    with pytest.raises(ModelError, match="lacks 1"):
        pretrained_model(source, ["A", "B"])


def test_a_file_that_was_cut_short_is_named(built, tmp_path):
    save_model(*built, tmp_path)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for left in (len(whole) // 2, 20):
        path.write_bytes(whole[:left])
        with pytest.raises(
            ModelError, match=r"model\.safetensors is damaged .*make the model again"
        ):
            load_model(str(tmp_path))


def test_only_a_model_to_be_trained_may_lack_its_head(built, tmp_path):
    # The embedding of masked frames is often not saved with a fine-tuned model.
    lacking = {"lm_head.weight", "lm_head.bias", "wav2vec2.masked_spec_embed"}
    source = without(lacking, tmp_path, built)
    with pytest.raises(ModelError, match=r"lacks 2 .*lm_head"):
        load_model(source)
    model, _ = pretrained_model(source, ["A", "B", "C", "D"])
    assert torch.isfinite(model.lm_head.weight).all()


def renamed(rename, tmp_path, built):
    """A saved model whose weights have other names in its file."""
    save_model(*built, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    named = {rename(name): tensor for name, tensor in weights.items()}
    save_file(named, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return str(tmp_path)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_what_wrappers_put_before_the_names_of_weights_is_taken_off(
    prefix, built, tmp_path, caplog
):
    source = renamed(lambda name: prefix + name, tmp_path, built)
    for load in (load_model, lambda source: pretrained_model(source, ["A", "B"])):
        loaded, _ = load(source)
        weights = loaded.state_dict()
        assert all(torch.equal(t, weights[name]) for name, t in built[0].state_dict().items())
    assert caplog.text.count(f"the prefix '{prefix}' of its weights' names") == 1


def test_unmerged_adapters_are_recognised(built, tmp_path):
    def with_adapter(name):
        return name.replace("q_proj.weight", "q_proj.base_layer.weight")

    with pytest.raises(ModelError, match=r"lacks 2 .*adapters .*merge_and_unload"):
        load_model(renamed(with_adapter, tmp_path / "lora", built))
    with pytest.raises(ModelError, match=r"it has other\.lm_head\.bias, .* in their pl") as said:
        load_model(renamed(lambda name: f"other.{name}", tmp_path / "other", built))
    assert "LoRA" not in str(said.value)


def test_a_processor_with_a_language_model_is_loaded_without_it(built, tmp_path, caplog):
    """As the Hub's fine-tuned models with a language model name their processor."""
    model, processor = built
    save_model(model, processor, tmp_path)
    (tmp_path / "processor_config.json").unlink()
    processor.feature_extractor.save_pretrained(tmp_path)
    for name in ("preprocessor_config.json", "tokenizer_config.json"):
        content = json.loads((tmp_path / name).read_text())
        content["processor_class"] = "Wav2Vec2ProcessorWithLM"
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "alphabet.json").write_text('{"labels": [" "], "is_bpe": false}')
    for _ in range(2):
        _, loaded = load_model(str(tmp_path))
    assert type(loaded) is Wav2Vec2Processor
    assert loaded.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert loaded.feature_extractor.to_dict() == processor.feature_extractor.to_dict()
    assert caplog.text.count("its language model is not used") == 1
    save_model(model, loaded, tmp_path / "saved")
    pipeline("automatic-speech-recognition", model=str(tmp_path / "saved"))


def test_so_it_is_where_its_packages_are_installed(built, tmp_path, monkeypatch):
    model, processor = built
    save_model(model, processor, tmp_path)
    halves = {"feature_extractor": processor.feature_extractor, "tokenizer": processor.tokenizer}
    with_lm = type("Wav2Vec2ProcessorWithLM", (), halves)()
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_, **__: with_lm)
    _, loaded = load_model(str(tmp_path))
    assert type(loaded) is Wav2Vec2Processor
    assert loaded.tokenizer is processor.tokenizer
    assert loaded.feature_extractor is processor.feature_extractor

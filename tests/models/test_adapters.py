"""Adapters: what is trained, that all of it is, and that saving and merging change no output."""

import json

import pytest
import torch
from peft import PeftModel
from torch import nn

from asr_unlearn.methods import METHODS
from asr_unlearn.models.adapters import (
    Lora,
    add_adapters,
    base_of,
    has_adapters,
    merge_adapters,
)
from asr_unlearn.models.ecapa import EcapaConfig, EcapaForAudioClassification
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import (
    load_model,
    model_from_config,
    output_layers,
    pretrained_model,
    save_model,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.supported import CLASSES
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tdnn import TdnnConfig
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.trainer import Training
from tests.support import whisper_task
from tests.support.tiny_families import tiny_config
from tests.support.tiny_model import tiny_ecapa_options

CASES = [
    (kind, task)
    for task, kinds in CLASSES.items()
    for kind in kinds
    # Ours have convolutions only; other encoder-decoders than Whisper need a pretrained tokenizer.
    if kind not in (EcapaConfig.model_type, TdnnConfig.model_type, "moonshine", "speech_to_text")
    and kind != "granite_speech5_ctc"
]


def made(kind, task, folder):
    tiny_config(kind).save_pretrained(folder / "config")
    vocabulary = ["s", "t"] if task == "classification" else "ABCD"
    model, processor = model_from_config(str(folder / "config"), vocabulary, 0, task)
    save_model(model, processor, folder / "base")
    return load_model(str(folder / "base"))


def logits(model, processor):
    """Of three utterances; a decoder gets their transcripts."""
    task = task_for(model.eval(), processor)
    batch = whisper_task.batches(task, {"a": "AB CAD", "b": "A", "c": "DAD"})[0]
    with torch.no_grad():
        return task.logits(batch)


def linear_layers(model, but):
    return {n for n, m in model.named_modules() if type(m) is nn.Linear and n not in but}


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize(("kind", "task"), CASES)
def test_every_adapter_is_trained_and_nothing_else(kind, task, tmp_path):
    model, processor = made(kind, task, tmp_path)
    before = logits(model, processor)
    whole = output_layers(model, task)
    assert bool(whole) == (task != "seq2seq")
    layers = linear_layers(model, {*whole, "proj_out"})
    if kind == "wavlm":
        # Its attention passes these layers' weights to a function.
        layers = {name for name in layers if ".attention." not in name or "gru" in name}
    torch.manual_seed(0)
    add_adapters(model, Lora(r=2), whole)
    torch.testing.assert_close(logits(model, processor), before, rtol=1e-5, atol=1e-6)
    trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    pairs = {f"{n}.lora_{half}.default.weight" for n in layers for half in "AB"}
    assert len(layers) >= 6
    assert {name for name in trained if "lora_" in name} == pairs
    assert {name for name in trained if "lora_" not in name} == {
        f"{layer}.modules_to_save.default.{part}" for part in ("weight", "bias") for layer in whole
    }

    recogniser = task_for(model, processor)
    utterances = whisper_task.utterances({"a": "AB CAD", "b": "A", "c": "DAD"})
    method = METHODS["finetune"](lr=1e-2, epochs=4, retain_batch=3, warmup=0.0)
    inputs = Inputs(recogniser, load=whisper_task.load)
    Training(recogniser, method, {"retain": utterances}, inputs, tmp_path / "run", seed=0)()
    after = dict(model.named_parameters())
    still = {name for name, value in trained.items() if torch.equal(value, after[name])}
    assert not still
    base, _ = load_model(str(tmp_path / "base"))
    named = {n.replace("base_layer.", "").replace("original_module.", ""): p
             for n, p in after.items() if n not in trained}  # fmt: skip
    assert named.keys() == dict(base.named_parameters()).keys()
    assert all(torch.equal(p, named[name]) for name, p in base.named_parameters())

    expected = logits(model, processor)
    assert not torch.allclose(expected, before)
    save_model(model, processor, tmp_path / "alone", str(tmp_path / "base"))
    alone, _ = load_model(str(tmp_path / "alone"))
    torch.testing.assert_close(logits(alone, processor), expected, rtol=1e-5, atol=1e-6)
    assert {n for n, p in alone.named_parameters() if p.requires_grad} == trained.keys()
    theirs = PeftModel.from_pretrained(base, tmp_path / "alone").get_base_model()
    torch.testing.assert_close(logits(theirs, processor), expected, rtol=1e-5, atol=1e-6)

    merge_adapters(model)
    assert not has_adapters(model)
    plain = load_model(str(tmp_path / "base"))[0].state_dict()
    assert {n: t.shape for n, t in model.state_dict().items()} == {
        n: t.shape for n, t in plain.items()
    }
    # Sums in another order: processors differ.
    torch.testing.assert_close(logits(model, processor), expected, rtol=1e-3, atol=1e-4)
    save_model(model, processor, tmp_path / "merged")
    torch.testing.assert_close(
        logits(*load_model(str(tmp_path / "merged"))), expected, rtol=1e-3, atol=1e-4
    )


@pytest.fixture
def alone(tmp_path):
    """A folder with the adapters of a Whisper, and its base."""
    model, processor = made("whisper", "seq2seq", tmp_path)
    add_adapters(model, Lora(r=1, targets="q_proj, v_proj"))
    model.config.transcript_spelling = "lower"
    save_model(model, processor, tmp_path / "alone", str(tmp_path / "base"))
    return tmp_path / "alone"


def test_targets_can_be_named_and_settings_are_kept(alone):
    model, _ = load_model(str(alone))
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 6
    assert all(".q_proj." in name or ".v_proj." in name for name in trained)
    assert model.config.transcript_spelling == "lower"
    with pytest.raises(InputError, match="has adapters already"):
        add_adapters(model, Lora(r=2))


def test_the_weights_of_a_folder_of_adapters_are_theirs_and_the_base_s(alone):
    base = SavedModel.at(alone.with_name("base")).weights()
    own = SavedModel.at(alone).weights()
    files = {"adapter_model.safetensors", "adapter_config.json", "base/model.safetensors"}
    assert own.keys() == files
    assert own["base/model.safetensors"] == base["model.safetensors"]


@pytest.mark.parametrize(("key", "value"), [("lora_alpha", 0), ("target_modules", ["q_proj"])])
def test_other_settings_make_other_weights_but_not_another_path_of_the_base(alone, key, value):
    before = SavedModel.at(alone).weights()
    path = alone / "adapter_config.json"
    content = json.loads(path.read_text())
    moved = str(alone.with_name("moved"))
    alone.with_name("base").rename(moved)
    path.write_text(json.dumps({**content, "base_model_name_or_path": moved}))
    assert SavedModel.at(alone).weights() == before
    path.write_text(json.dumps({**content, "base_model_name_or_path": moved, key: value}))
    assert SavedModel.at(alone).weights() != before


def test_a_base_that_was_moved_with_its_adapters_is_found(alone, tmp_path):
    (alone / "run.json").write_text(json.dumps({"base": {"path": "../base", "sha256": {}}}))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("alone", "base"):
        (tmp_path / name).rename(moved / name)
    assert base_of(moved / "alone") == str(moved / "base")
    load_model(str(moved / "alone"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "adapter_config.json").write_text("{}"), "names no base model"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\0" * 99), "is damaged"),
        (lambda f: set_in(f, peft_type="PROMPT_TUNING"), "PROMPT_TUNING; those of LoRA"),
        (lambda f: set_in(f, r=3), "do not fit"),
        (lambda f: set_in(f, target_modules=["q_proj"]), "on one side only"),
        (lambda f: set_in(f, target_modules=["q_proj", "v_proj", "fc1"]), "on one side only"),
        (lambda f: set_in(f, target_modules=["nothing"]), "do not fit"),
        (lambda f: set_in(f, base_model_name_or_path=str(f)), "holds adapters itself"),
        (lambda f: set_in(f, base_model_name_or_path=f"{f}/gone/base"), "no model folder"),
    ],
)
def test_adapters_that_cannot_be_used_are_refused_in_one_line(spoil, message, alone):
    spoil(alone)
    for load in (load_model, lambda source: pretrained_model(source, ["A", "B"])):
        with pytest.raises(InputError, match=message) as said:
            load(str(alone))
        assert "\n" not in str(said.value)


def set_in(folder, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    "options",
    [{"r": -1}, {"r": 2, "alpha": 0}, {"r": 2, "dropout": 1.0}, {"alpha": 8}, {"targets": "a"}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match="--lora"):
        Lora(**options)


def test_layers_that_a_model_does_not_have_are_refused(tmp_path):
    model, _ = made("wav2vec2", "ctc", tmp_path)
    with pytest.raises(InputError, match=r"--lora.targets nothing: Wav2Vec2ForCTC has no such"):
        add_adapters(model, Lora(r=2, targets="nothing"))
    convolutions = EcapaForAudioClassification(EcapaConfig(**tiny_ecapa_options()))
    with pytest.raises(InputError, match=r"all-linear: EcapaForAudioClassification has no such"):
        add_adapters(convolutions, Lora(r=2), ["classifier"])


def test_a_class_that_peft_cannot_adapt_is_refused(tmp_path):
    model, _ = made("granite_speech5_ctc", "ctc", tmp_path)
    with pytest.raises(InputError, match="--lora: peft cannot adapt GraniteSpeech5ForCTC"):
        add_adapters(model, Lora(r=2))


def test_layers_whose_adapters_a_model_would_not_use_are_refused(tmp_path):
    model, _ = made("wavlm", "ctc", tmp_path)
    with pytest.raises(InputError, match=r"WavLMForCTC does not call q_proj"):
        add_adapters(model, Lora(r=2, targets="q_proj,intermediate_dense"))


def test_adapters_of_a_layer_with_the_embedding_s_weights_leave_the_embedding(tmp_path):
    model, processor = made("whisper", "seq2seq", tmp_path)
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    torch.manual_seed(0)
    add_adapters(model, Lora(r=2, targets="q_proj,proj_out"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    embedding = model.model.decoder.embed_tokens.weight.clone()
    expected = logits(model, processor)
    merge_adapters(model)
    assert torch.equal(model.model.decoder.embed_tokens.weight, embedding)
    torch.testing.assert_close(logits(model, processor), expected, rtol=1e-3, atol=1e-4)
    save_model(model, processor, tmp_path / "merged")
    torch.testing.assert_close(
        logits(*load_model(str(tmp_path / "merged"))), expected, rtol=1e-3, atol=1e-4
    )

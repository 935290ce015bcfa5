"""Folders of CTC models as the Hub has them: loaded as transformers loads them, and unlearned."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoProcessor,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    pipeline,
)

from asr_unlearn import Stop, unlearn
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import load_model, save_model
from asr_unlearn.models.tasks import task_for
from tests.support.tiny_model import tiny_options

SECONDS = {"a": 0.5, "b": 0.4, "c": 0.6, "d": 0.45}
UTTERANCES = [
    Utterance(id=name, audio=Path(name), speaker=name, seconds=seconds, text="A BAD CAB")
    for name, seconds in SECONDS.items()
]
WAVES = {
    name: np.random.default_rng(ord(name)).standard_normal(round(16_000 * s)).astype(np.float32)
    for name, s in SECONDS.items()
}
MARKS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
BRACKETS = MARKS | {"unk_token": "[UNK]", "pad_token": "[PAD]"}

# As facebook/wav2vec2-base-960h, of 2021: no class is named beside the model's.
BASE = {
    "vocab.json": {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5, "C": 6, "B": 7,
                   "D": 8},
    "special_tokens_map.json": MARKS,
    "tokenizer_config.json": MARKS | {"do_lower_case": False, "return_attention_mask": False,
                                      "do_normalize": True},
    "preprocessor_config.json": {"do_normalize": True, "feature_size": 1, "padding_side": "right",
                                 "padding_value": 0.0, "return_attention_mask": False,
                                 "sampling_rate": 16000},
    "config.json": {"feat_extract_norm": "group", "vocab_size": 9, "pad_token_id": 0,
                    "gradient_checkpointing": False, "transformers_version": "4.7.0.dev0"},
}  # fmt: skip
# As those fine-tuned from XLSR-53: lower case, the blank last, sentence marks beyond the head.
XLSR = {
    "vocab.json": {"a": 1, "b": 2, "c": 3, "d": 4, "'": 5, "|": 0, "[UNK]": 6, "[PAD]": 7},
    "added_tokens.json": {"<s>": 8, "</s>": 9},
    "special_tokens_map.json": BRACKETS,
    "tokenizer_config.json": BRACKETS | {"do_lower_case": False, "word_delimiter_token": "|",
                                         "tokenizer_class": "Wav2Vec2CTCTokenizer",
                                         "special_tokens_map_file": None},
    "preprocessor_config.json": {"do_normalize": True, "feature_size": 1, "padding_side": "right",
                                 "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                                 "padding_value": 0, "return_attention_mask": True,
                                 "sampling_rate": 16000},
    "config.json": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "vocab_size": 8,
                    "pad_token_id": 7, "gradient_checkpointing": True, "conv_bias": True},
}  # fmt: skip


def hub_folder(folder, files):
    """Files as they are on the Hub; the positional convolution's weights by their old names."""
    torch.manual_seed(0)
    settings = files["config.json"]
    options = {k: v for k, v in settings.items() if k not in ("gradient_checkpointing",)}
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options(), **options))
    with torch.no_grad():
        # As initialised every frame is alike.
        model.lm_head.weight.normal_(std=5.0)
    model.save_pretrained(folder)
    new, old = "parametrizations.weight.original", "weight_"
    weights = load_file(folder / "model.safetensors")
    named = {n.replace(f"{new}0", f"{old}g").replace(f"{new}1", f"{old}v"): t
             for n, t in weights.items()}  # fmt: skip
    assert {name.rpartition(".")[2] for name in named.keys() - weights.keys()} == {
        "weight_g",
        "weight_v",
    }
    save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in files.items():
        written = json.loads((folder / name).read_text()) if name == "config.json" else {}
        (folder / name).write_text(json.dumps(written | content))
    return folder


@pytest.mark.parametrize(
    ("files", "spelled"), [(BASE, "A BAD CAB"), (XLSR, "a bad cab")], ids=["base-960h", "xlsr"]
)
def test_losses_are_transformers_and_the_unlearned_model_is_the_pipelines(files, spelled, tmp_path):
    source = hub_folder(tmp_path / "hub", files)
    theirs = Wav2Vec2ForCTC.from_pretrained(source).eval()
    theirs.config.ctc_loss_reduction = "sum"
    processor = AutoProcessor.from_pretrained(source)
    assert isinstance(processor, Wav2Vec2Processor)
    model, own = load_model(str(source))
    task = task_for(model.eval(), own)
    inputs = Inputs(task, load=lambda u: WAVES[u.id])
    losses = task.losses(collate([inputs(u) for u in UTTERANCES]))
    for loss, utterance in zip(losses, UTTERANCES, strict=True):
        assert task.reference(utterance) == spelled
        labels = processor.tokenizer(spelled, return_tensors="pt").input_ids
        encoded = processor(WAVES[utterance.id], sampling_rate=16_000, return_tensors="pt")
        expected = theirs(encoded.input_values, labels=labels).loss / labels.numel()
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=0)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    unlearn(
        model,
        own,
        forget=UTTERANCES[:2],
        retain=UTTERANCES[2:],
        method="orthograd",
        stop=Stop(rule="steps"),
        audio=WAVES,
        epochs=1,
    )
    changed = {name for name, t in model.state_dict().items() if not torch.equal(t, before[name])}
    assert "lm_head.weight" in changed
    save_model(model, own, tmp_path / "saved")
    again = task_for(*load_model(str(tmp_path / "saved")))
    recogniser = pipeline("automatic-speech-recognition", model=str(tmp_path / "saved"))
    with torch.no_grad():
        for utterance in UTTERANCES:
            batch = collate([Inputs(again, load=lambda u: WAVES[u.id])(utterance)])
            (text,) = again.transcripts(again.logits(batch), batch)
            assert text
            assert recogniser(WAVES[utterance.id])["text"] == text

"""Every class that transformers has for the three tasks is supported, or refused by its name."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig
from transformers.models.auto import modeling_auto

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import (
    ModelError,
    load_model,
    model_from_config,
    read_config,
    task_of,
)
from asr_unlearn.models.supported import CLASSES, WAVE_MODELS
from asr_unlearn.models.tasks import task_for
from tests.support.tiny_model import (
    tiny_ecapa_options,
    tiny_options,
    tiny_tdnn_options,
    tiny_whisper_options,
)

MAPPINGS = {
    "ctc": modeling_auto.MODEL_FOR_CTC_MAPPING_NAMES,
    "seq2seq": modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
    "classification": modeling_auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
}
EVERY = [(task, kind, name) for task, names in MAPPINGS.items() for kind, name in names.items()]
REFUSED = [entry for entry in EVERY if entry[1] not in CLASSES[entry[0]]]


def test_supported_and_refused_are_all_there_are():
    supported = {(task, kind) for task, names in CLASSES.items() for kind in names}
    ours = {("ctc", "tdnn"), ("classification", "ecapa-tdnn")}
    assert supported - {(task, kind) for task, kind, _ in EVERY} == ours
    assert len(supported - ours) + len(REFUSED) == len(EVERY)
    assert len(supported - ours) == 2 * len(WAVE_MODELS) + 2
    assert {name for _, _, name in REFUSED} >= {
        "Wav2Vec2BertForCTC", "MoonshineForConditionalGeneration", "ASTForAudioClassification",
        "VoxtralForConditionalGeneration", "GraniteSpeechForConditionalGeneration",
    }  # fmt: skip


@pytest.mark.parametrize(("task", "kind", "name"), REFUSED)
def test_what_is_not_supported_is_refused_by_name_when_its_config_is_read(
    task, kind, name, tmp_path
):
    content = {"model_type": kind, "architectures": [name]}
    (tmp_path / "config.json").write_text(json.dumps(content))
    for load in (
        read_config,
        load_model,
        lambda source: model_from_config(source, "AB", 0),
        lambda source: model_from_config(source, "AB", 0, task),
    ):
        with pytest.raises(ModelError) as said:
            load(str(tmp_path))
        message = str(said.value)
        assert f"{tmp_path}: {name} (model_type '{kind}') is not supported; use one of" in message
        assert "Wav2Vec2ForCTC" in message
        assert "WhisperForConditionalGeneration" in message
        assert "\n" not in message


SUPPORTED = [(task, kind) for task, names in CLASSES.items() for kind in names]
SIZES = {
    "whisper": tiny_whisper_options,
    "ecapa-tdnn": tiny_ecapa_options,
    "tdnn": tiny_tdnn_options,
}


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize(("task", "kind"), SUPPORTED)
def test_what_is_supported_has_a_loss_that_can_be_learned(task, kind, tmp_path):
    sizes = SIZES.get(kind, tiny_options)()
    if kind not in SIZES:
        sizes |= {"classifier_proj_size": 8}
    if kind == "data2vec-audio":
        sizes["conv_pos_kernel_size"] = 7
    if kind.startswith("sew"):
        sizes["squeeze_factor"] = 2
    AutoConfig.for_model(kind, **sizes).save_pretrained(tmp_path)
    words = ["no", "yes"] if task == "classification" else ["A", "B"]
    model, processor = model_from_config(str(tmp_path), words, 0, task)
    assert type(model).__name__ == CLASSES[task][kind]
    # A config that names no class is that of the family's first task.
    first = next(name for name, kinds in CLASSES.items() if kind in kinds)
    assert task_of(model.config) == first
    task = task_for(model.eval(), processor)
    utterance = Utterance(
        id="u", audio=Path("u"), speaker="s", seconds=0.5, text="AB A", label="yes"
    )
    wave = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    loss = task.losses(collate([Inputs(task, load=lambda _: wave)(utterance)])).sum()
    assert torch.isfinite(loss)
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_family_without_a_head_for_the_task_is_refused(tmp_path):
    AutoConfig.for_model("whisper", **tiny_whisper_options()).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"whisper \(model_type .* is not .* for ctc; use"):
        model_from_config(str(tmp_path), "AB", 0, "ctc")

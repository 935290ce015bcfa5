"""Every class that transformers has for the three tasks is supported, or refused by its name."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.config import read_config, task_of
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import ModelError, load_model, model_from_config
from asr_unlearn.models.supported import CLASSES, MAPPINGS, REFUSED, TAKEN
from asr_unlearn.models.tasks import task_for
from tests.support.tiny_families import tiny_config
from tests.support.tiny_model import tiny_whisper_options

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "models.md"
EVERY = [(task, kind, name) for task, names in MAPPINGS.items() for kind, name in names.items()]
TURNED_AWAY = [entry for entry in EVERY if entry[1] in REFUSED[entry[0]]]


def test_every_class_of_the_installed_transformers_is_taken_or_refused():
    for task, kind, name in EVERY:
        verdicts = (kind in TAKEN[task]) + (kind in REFUSED[task])
        assert verdicts == 1, (
            f"{name} ({task}, model_type {kind!r}) is new: enter it in TAKEN or REFUSED of "
            "asr_unlearn/models/supported.py and in docs/models.md"
        )


def test_what_is_taken_beside_them_is_ours():
    supported = {(task, kind) for task, names in CLASSES.items() for kind in names}
    ours = {("ctc", "tdnn"), ("classification", "ecapa-tdnn")}
    assert supported - {(task, kind) for task, kind, _ in EVERY} == ours


def test_reasons_are_one_short_clause():
    for reason in (reason for reasons in REFUSED.values() for reason in reasons.values()):
        assert len(reason) < 80
        assert not reason.endswith(".")
        assert "\n" not in reason


def test_the_table_of_the_documentation_says_what_the_code_says():
    rows = re.findall(
        r"^\| `(\w+)` \| (taken|refused: .+?) \|$", DOCUMENTATION.read_text(), re.MULTILINE
    )
    stated = dict(rows)
    assert len(stated) == len(rows)
    for task, kind, name in EVERY:
        reason = REFUSED[task].get(kind)
        expected = "taken" if reason is None else f"refused: {reason}"
        assert stated.pop(name, None) == expected, f"docs/models.md: {name} should be {expected!r}"
    assert not stated, "docs/models.md: not in the installed transformers"


@pytest.mark.parametrize(("task", "kind", "name"), TURNED_AWAY)
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
        said_so = (
            f"{name} (model_type '{kind}') is not supported ({REFUSED[task][kind]}); use one of"
        )
        assert f"{tmp_path}: {said_so}" in message
        assert "Wav2Vec2ForCTC" in message
        assert "WhisperForConditionalGeneration" in message
        assert "\n" not in message


SUPPORTED = [
    (task, kind)
    for task, names in CLASSES.items()
    for kind in names
    # Other encoder-decoders are not trained from a config; see test_encoder_decoders.py.
    if task != "seq2seq" or kind == "whisper"
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize(("task", "kind"), SUPPORTED)
def test_what_is_supported_has_a_loss_that_can_be_learned(task, kind, tmp_path):
    tiny_config(kind).save_pretrained(tmp_path)
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

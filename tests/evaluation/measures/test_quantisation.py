"""Rounded weights: which ones, and what they bring back of what was forgotten."""

import json

import pytest
import torch
from torch import nn
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, WhisperConfig
from transformers import WhisperForConditionalGeneration as Whisper

from asr_unlearn.data.batching import collate
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.evaluation.jobs import Workers
from asr_unlearn.evaluation.measures.measure import Evaluated
from asr_unlearn.evaluation.measures.quantisation import (
    Quantisation,
    QuantisationMeasure,
    round_weights,
)
from asr_unlearn.evaluation.predictions import transcribe
from asr_unlearn.metrics.rounding import GROUP, INT4, PRECISIONS, rounded
from asr_unlearn.models.adapters import Lora, add_adapters, merge_adapters
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import task_for
from tests.support.attacked_models import CPU
from tests.support.tiny_model import tiny_options, tiny_whisper_options


def position_convolution(model):
    return model.wav2vec2.encoder.pos_conv_embed.conv


@pytest.mark.parametrize("precision", PRECISIONS)
def test_linear_layers_and_convolutions_are_rounded_and_nothing_else(precision):
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options(), feat_extract_norm="layer"))
    layers = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv1d)]
    before = {n: model.get_submodule(n).weight.detach().clone() for n in layers}
    parameters = {n: p.detach().clone() for n, p in model.named_parameters()}
    count = round_weights(model, precision)
    assert count == sum(weight.numel() for weight in before.values())
    for name, weight in before.items():
        found = model.get_submodule(name).weight
        assert torch.equal(found, rounded(weight, precision)), name
        assert not torch.equal(found, weight), name
    kept = {n: p for n, p in model.named_parameters() if n.removesuffix(".weight") not in before}
    assert len(kept) > 20
    for name, parameter in kept.items():
        assert torch.equal(parameter, parameters[name]), name


@pytest.mark.parametrize("trained", [True, False])
def test_the_weight_that_weight_norm_computes_is_rounded(trained):
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options())).requires_grad_(trained)
    before = position_convolution(model).weight.detach().clone()
    round_weights(model, "int4")
    found = position_convolution(model)
    wave = torch.randn(1, 16, 9)
    assert torch.equal(found.weight, rounded(before, "int4"))
    assert not torch.equal(found.weight, before)
    expected = nn.functional.conv1d(
        wave, rounded(before, "int4"), found.bias, padding=found.padding, groups=found.groups
    )
    torch.testing.assert_close(found(wave), expected)


def test_an_output_layer_that_is_the_embedding_stays():
    options = {"vocab_size": 30, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    model = Whisper(WhisperConfig(**tiny_whisper_options(), **options, decoder_start_token_id=1))
    embedding = model.model.decoder.embed_tokens.weight.detach().clone()
    query = model.model.decoder.layers[0].self_attn.q_proj
    before = query.weight.detach().clone()
    round_weights(model, "int4")
    assert model.proj_out.weight is model.model.decoder.embed_tokens.weight
    assert torch.equal(model.proj_out.weight, embedding)
    assert not torch.equal(query.weight, before)


def offset(weight, signs):
    """A third of a step with these signs, wherever the largest weight of a group stays so."""
    groups = []
    split = (each.flatten(1).split(GROUP, 1) for each in (weight, signs))
    for group, sign in zip(*split, strict=True):
        most = group.abs().amax(1, keepdim=True)
        groups.append(group + sign * most / INT4 / 3 * (group.abs() < 0.9 * most))
    return torch.cat(groups, dim=1).reshape(weight.shape)


@pytest.fixture(scope="module")
def planted(data, tiny_config, tmp_path_factory):
    """An original in int4, and the same with offsets below half a step that raise its loss."""
    folder = tmp_path_factory.mktemp("planted")
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), 0)
    nn.init.normal_(model.lm_head.weight, std=2.0)
    # Equal sizes stay as they are in any precision.
    direction = position_convolution(model).parametrizations.weight.original1
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d)]
    layers.remove(position_convolution(model))
    with torch.no_grad():
        direction.copy_(direction.sign())
        for layer in layers:
            layer.weight.copy_(rounded(layer.weight, "int4"))
    save_model(model, processor, folder / "original")
    task = task_for(model.eval(), processor, CPU)
    inputs = Inputs(task)
    task.losses(collate([inputs(u) for u in data.part("forget")])).sum().backward()
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(offset(layer.weight, layer.weight.grad.sign()))
    save_model(model, processor, folder / "unlearned")
    return [SavedModel(name, 0, folder / name) for name in ("original", "unlearned")]


def figures(models, data):
    rows = {m.key: transcribe(m, data.manifest, data.split, device=CPU) for m in models}
    given = Evaluated(models, data, data.cache, Workers(1), CPU, rows)
    found = QuantisationMeasure().entries(given)
    assert all(own["ci95"].keys() == {"quantisation"} for own in found.values())
    return rows, {key[0]: own["quantisation"] for key, own in found.items()}


def mean_loss(rows, part):
    losses = [row["loss"] for row in rows if row["part"] == part]
    return sum(losses) / len(losses)


def test_an_offset_below_the_step_is_undone_by_int4(planted, data):
    rows, found = figures(planted, data)
    original, unlearned = found["original"], found["unlearned"]
    true = [mean_loss(own, "forget") for own in rows.values()]
    assert true[1] > 1.02 * true[0]
    assert unlearned["int4_forget_loss"] == pytest.approx(true[0], rel=1e-3)
    assert unlearned["int4_brought_back"] == pytest.approx(1.0, abs=0.02)
    assert abs(unlearned["int8_brought_back"]) < 0.1
    assert abs(unlearned["bf16_brought_back"]) < 0.1
    # Nothing is forgotten in the original, so that nothing can come back.
    assert not any("brought_back" in key for key in original)
    assert original["int4_unseen_loss"] == pytest.approx(
        mean_loss(rows["original", 0], "unseen"), rel=1e-3
    )


def test_rounding_to_what_the_weights_are_already_brings_nothing_back(planted, data, tmp_path):
    models = []
    for saved in planted:
        task = saved.task(CPU)
        with torch.no_grad():
            for name, parameter in task.model.named_parameters():
                if "parametrizations" not in name:
                    parameter.copy_(parameter.bfloat16())
            # The norm of 2⁻² and directions of one size: a weight of bf16 after weight norm too.
            norm = position_convolution(task.model).parametrizations.weight
            norm.original0.fill_(norm.original1[:, :, 0].numel() ** 0.5 / 4)
        save_model(task.model, task.processor, tmp_path / saved.name)
        models.append(SavedModel(saved.name, 0, tmp_path / saved.name))
    _, found = figures(models, data)
    assert found["unlearned"]["bf16_brought_back"] == pytest.approx(0.0, abs=1e-4)
    assert found["unlearned"]["int4_brought_back"] != 0


def test_the_losses_are_measured_anew_for_other_weights_or_recordings(planted, data, monkeypatch):
    job = Quantisation(planted[1], data, CPU)
    job()
    assert job.is_done()
    monkeypatch.setattr(
        "asr_unlearn.evaluation.measures.quantisation.measure_losses",
        lambda *_, **__: pytest.fail("measured again"),
    )
    job()
    assert Quantisation(planted[0], data, CPU).entry.key != job.entry.key
    job.path.write_text(job.path.read_text().replace("losses", "Losses"))
    assert not job.is_done()


def test_adapters_are_rounded_as_part_of_the_weights_that_they_change(data, tiny_config, tmp_path):
    torch.manual_seed(0)
    model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), 0)
    save_model(model, processor, tmp_path / "base")
    add_adapters(model, Lora(r=2, targets="q_proj, v_proj"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora" in name:
                parameter.normal_()
    save_model(model, processor, tmp_path / "alone", str(tmp_path / "base"))
    merge_adapters(model)
    save_model(model, processor, tmp_path / "merged")
    losses = []
    for name in ("alone", "merged"):
        job = Quantisation(SavedModel(name, 0, tmp_path / name), data, CPU)
        job()
        losses.append(json.loads(job.path.read_text())["losses"]["int4"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert len(losses[0]) == len(data.part("forget", "unseen"))

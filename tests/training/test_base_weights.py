"""The model that a method needs beside the original: the one that it was fine-tuned from."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from asr_unlearn.cli.main import main
from asr_unlearn.models.loading import load_model
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.base_weights import base_weights


@pytest.fixture(scope="module")
def folder(corpus, tiny_config, tmp_path_factory):
    """Two bases that were not trained on the forget set, and an original from the first."""
    folder = tmp_path_factory.mktemp("models")
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["train", *data, "--parts", "retain", "--finetune.epochs", "1"]
    for seed, name in enumerate(("base", "another")):
        out = ["--out", str(folder / name), "--seed", str(seed)]
        main([*argv, "--model", str(tiny_config), *out])
    argv = ["train", *data, "--finetune.epochs", "2", "--finetune.lr", "1e-3"]
    main([*argv, "--model", str(folder / "base"), "--out", str(folder / "original")])
    return folder


def unlearn(corpus, folder, out, *more):
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv = ["unlearn", *data, "--model", str(folder / "original"), "--out", str(out)]
    main([*argv, "--method", "msa", "--method.epochs", "1", "--stop.rule", "steps", *more])


def test_msa_begins_at_the_base(corpus, folder, tmp_path):
    found = []
    for name in ("base", "another"):
        base = ["--stop.reference_model", str(folder / name), "--freeze_front_end", "false"]
        unlearn(corpus, folder, tmp_path / name, *base)
        found.append(load_file(tmp_path / name / "model.safetensors"))
    run = json.loads((tmp_path / "base" / "run.json").read_text())
    assert run["reference_model"]["path"].endswith("base")
    assert any(not torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_without_a_base_nothing_begins(corpus, folder, tmp_path):
    with pytest.raises(InputError, match=r"msa needs the model .* --stop\.reference_model"):
        unlearn(corpus, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_trainable_weights_are_taken(folder):
    model, _ = load_model(str(folder / "original"))
    model.wav2vec2.feature_extractor.requires_grad_(False)
    found = base_weights(folder / "base", model, "msa")
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == trainable
    base = load_file(folder / "base" / "model.safetensors")
    shared = found.keys() & base.keys()
    assert len(shared) > 20
    assert all(torch.equal(found[name], base[name]) for name in shared)


def changed(folder, out, change):
    """The base at `out`, its weights changed."""
    shutil.copytree(folder / "base", out)
    weights = load_file(out / "model.safetensors")
    save_file(change(weights), out / "model.safetensors", metadata={"format": "pt"})
    return out


def test_frozen_weights_must_be_the_base_s(folder, tmp_path):
    model, _ = load_model(str(folder / "original"))
    model.wav2vec2.feature_extractor.requires_grad_(False)
    name = "wav2vec2.feature_extractor.conv_layers.0.conv.weight"
    other = changed(folder, tmp_path / "other", lambda w: w | {name: w[name] + 1})
    message = rf"msa: {re.escape(name)} is frozen and differs from that of .*other; train all"
    with pytest.raises(InputError, match=message):
        base_weights(other, model, "msa")


def test_a_base_of_another_shape_is_refused(folder):
    model, _ = load_model(str(folder / "original"))
    head = model.lm_head
    model.lm_head = torch.nn.Linear(head.in_features, head.out_features + 1)
    with pytest.raises(InputError, match=r"base has no lm_head\.weight of the original's shape"):
        base_weights(folder / "base", model, "msa")

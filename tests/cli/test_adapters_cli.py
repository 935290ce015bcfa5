"""Adapters from the command line: trained, unlearned, published whole or alone, and recorded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import WhisperConfig

from asr_unlearn.cli.main import main
from asr_unlearn.evaluation.deletion_record import NAME
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from tests.support.tiny_model import tiny_whisper_options


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A corpus, a Whisper, and its original and retrained form as adapters alone."""
    folder = tmp_path_factory.mktemp("adapters")
    shutil.copytree(corpus, folder / "data")
    data = folder / "data"
    WhisperConfig(**tiny_whisper_options()).save_pretrained(folder / "config")
    main(["train", *of(data), "--model", str(folder / "config"), "--out", str(folder / "base"),
          "--parts", "forget,unseen", "--finetune.epochs", "1"])  # fmt: skip
    for name, parts in {"original": "retain,forget", "retrained": "retain"}.items():
        main(["train", *of(data), "--model", str(folder / "base"), "--out", str(folder / name),
              "--parts", parts, "--finetune.epochs", "4", "--finetune.lr", "1e-2",
              "--lora.r", "4", "--merge", "false"])  # fmt: skip
    return data, folder


def of(data):
    return ["--manifest", str(data / "manifest.jsonl"), "--split", str(data / "split.json")]


def unlearned(trained, model, name, *arguments):
    data, folder = trained
    main(["unlearn", *of(data), "--model", str(folder / model), "--out", str(folder / name),
          "--method", "orthograd_tau", "--method.target", "9", "--method.epochs", "1",
          "--stop.rule", "steps", *arguments])  # fmt: skip
    return folder / name


def test_adapters_alone_are_unlearned_evaluated_and_recorded(trained):
    data, folder = trained
    alone = unlearned(trained, "original", "alone", "--merge", "false")
    files = {path.name for path in alone.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "config.json"} <= files
    assert "model.safetensors" not in files
    before, after = (
        load_file(f / "adapter_model.safetensors") for f in (folder / "original", alone)
    )
    assert before.keys() == after.keys()
    assert not [name for name in before if torch.equal(before[name], after[name])]
    run = json.loads((alone / "run.json").read_text())
    assert run["base"]["path"] == "../base"
    assert run["base"]["sha256"] == SavedModel.at(folder / "base").weights()

    main(["evaluate", *of(data), "--models", "original,retrained,alone", "--out",
          str(folder / "results.json")])  # fmt: skip
    record = json.loads((alone / NAME).read_text())["sha256"]
    base = run["base"]["sha256"]["model.safetensors"]
    assert record["weights_before"]["base/model.safetensors"] == base
    assert record["weights_after"]["base/model.safetensors"] == base
    assert record["weights_after"] != record["weights_before"]
    main(["verify", "--model", str(alone)])
    # Another base under the same adapters is another model.
    weights = folder / "base" / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes((folder / "base" / "config.json").read_bytes())
    with pytest.raises(InputError):
        main(["verify", "--model", str(alone)])
    weights.write_bytes(kept)


def test_new_adapters_are_merged_unless_they_are_asked_for_alone(trained, caplog):
    _, folder = trained
    whole = unlearned(trained, "base", "whole", "--lora.r", "2")
    assert not (whole / "adapter_config.json").exists()
    assert "base" not in json.loads((whole / "run.json").read_text())
    before, after = (load_file(f / "model.safetensors") for f in (folder / "base", whole))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    # Every linear layer, and nothing else.
    assert changed == {n for n, t in before.items() if n.endswith(".weight") and t.dim() == 2
                       and "embed" not in n}  # fmt: skip
    assert "remembers the forget speakers" not in caplog.text
    alone = unlearned(trained, "base", "adapters", "--lora.r", "2", "--merge", "false")
    assert "without its adapters the result is the original" in caplog.text
    merged, apart = (load_model(str(f))[0] for f in (whole, alone))
    features = torch.randn(1, 20, 100)
    tokens = torch.tensor([[0, 3, 4]])
    with torch.no_grad():
        expected, found = (m(features, decoder_input_ids=tokens).logits for m in (merged, apart))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("unlearn", ["--merge", "false"], "give --lora.r, or leave it out"),
        ("unlearn", ["--lora.targets", "nothing", "--lora.r", "2"], "has no such layers"),
        ("unlearn", ["--lora.alpha", "2"], "give the rank"),
        ("train", ["--merge", "false"], "give --lora.r, or leave it out"),
        ("train", ["--lora.r", "2", "--model", "config"], "this has random weights"),
        ("train", ["--lora.r", "2", "--model", "original"], "has adapters already"),
    ],
)
def test_what_adapters_cannot_do_is_said_in_one_line(command, arguments, message, trained):
    data, folder = trained
    model = folder / (arguments[-1] if "--model" in arguments else "base")
    given = [word for word in arguments if word not in ("--model", "config", "original")]
    method = ["--method", "gradient_ascent"] if command == "unlearn" else []
    with pytest.raises(InputError, match=message):
        main([command, *of(data), "--model", str(model), "--out", str(folder / "out"),
              *method, *given])  # fmt: skip
    assert not (folder / "out").exists()

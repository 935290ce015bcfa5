"""Precision, pieces and checkpointing from the command line: used, recorded, and used again."""

import json

import pytest
from transformers import PreTrainedModel

from asr_unlearn.cli.main import main
from asr_unlearn.models.tasks.compute import Compute
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.setup import Setup

FLAGS = ["--compute.precision", "bf16", "--compute.max_seconds", "1.5"]


def of(corpus):
    return ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]


def options(folder):
    return json.loads((folder / "run.json").read_text())["options"]


def test_a_model_is_trained_and_unlearned(corpus, tiny_config, tmp_path, monkeypatch):
    enabled = []
    enable = PreTrainedModel.gradient_checkpointing_enable

    def watched(model, *arguments):
        enabled.append(arguments)
        enable(model, *arguments)

    monkeypatch.setattr(PreTrainedModel, "gradient_checkpointing_enable", watched)
    main(["train", *of(corpus), "--model", str(tiny_config), "--out", str(tmp_path / "original"),
          "--finetune.epochs", "1", "--finetune.eight_bit", "true",
          "--gradient_checkpointing", "true", *FLAGS])  # fmt: skip
    assert enabled == [({"use_reentrant": False},)]
    main(["unlearn", *of(corpus), "--model", str(tmp_path / "original"), "--method", "npo",
          "--method.lr", "1e-3", "--method.epochs", "1", "--stop.rule", "steps",
          "--out", str(tmp_path / "forgotten"), *FLAGS])  # fmt: skip
    given = Compute(precision="bf16", max_seconds=1.5)
    for name in ("original", "forgotten"):
        assert Compute(**options(tmp_path / name)["compute"]) == given
    assert options(tmp_path / "original")["eight_bit"] is True
    again = Setup.of(options(tmp_path / "original"))
    assert (again.compute, again.gradient_checkpointing) == (given, True)
    # Without the flags nothing is recorded, so that earlier runs are the same runs.
    assert not {"compute", "gradient_checkpointing"} & Setup().recorded().keys()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--compute.max_seconds", "-1"], "max_seconds must be 0 or more"),
        (["--compute.precision", "fp16"], "compute.precision"),
    ],
)
def test_what_cannot_be_is_refused_before_work(flags, message, corpus, tiny_config, tmp_path,
                                               capsys):  # fmt: skip
    arguments = ["train", *of(corpus), "--model", str(tiny_config), "--out", str(tmp_path / "o")]
    with pytest.raises((InputError, SystemExit)) as refused:
        main([*arguments, *flags])
    assert message in f"{refused.value} {capsys.readouterr().err}"
    assert not (tmp_path / "o").exists()

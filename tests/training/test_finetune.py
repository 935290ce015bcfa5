"""Training on everything is fine-tuning under a part name of its own."""

import json
from dataclasses import asdict

import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config
from asr_unlearn.models.tasks import CTC
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.finetune import Train
from asr_unlearn.training.trainer import Training


def test_training_takes_the_steps_of_fine_tuning_bit_for_bit(corpus, tiny_config, tmp_path):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    finetune = Finetune(epochs=2, retain_batch=3, forget_batch=5)
    weights, rows = {}, {}
    for part, method in (("retain", finetune), ("train", Train(**asdict(finetune)))):
        model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed=0)
        task, folder = CTC(model, processor), tmp_path / part
        parts = {part: data.part("retain", "forget")}
        Training(task, method, parts, Inputs(task), folder, seed=1)()
        weights[part] = model.state_dict()
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rows[part] = [json.loads(line) for line in lines]
    assert all(torch.equal(t, weights["train"][name]) for name, t in weights["retain"].items())
    expected = [row["retain_loss"] for row in rows["retain"]]
    assert [row["train_loss"] for row in rows["train"]] == expected
    assert not any("retain_loss" in row for row in rows["train"])


@pytest.mark.parametrize(
    ("flags", "remedy"),
    [
        (["--speeds", "[0.9,1]", "--freeze_front_end", "true"], "give --freeze_front_end false"),
        (["--augmented", "true", "--lora.r", "2"], "with --lora the front end is frozen"),
    ],
)
def test_waves_that_the_model_is_not_given_cannot_be_changed(
    corpus, tiny_config, tmp_path, flags, remedy
):
    of = ["--manifest", corpus / "manifest.jsonl", "--split", corpus / "split.json"]
    common = ["train", *map(str, of), "--finetune.epochs", "1"]
    main([*common, "--model", str(tiny_config), "--out", str(tmp_path / "made")])
    with pytest.raises(InputError, match=remedy):
        main([*common, "--model", str(tmp_path / "made"), "--out", str(tmp_path / "more"), *flags])
    assert not list(tmp_path.glob("more*"))

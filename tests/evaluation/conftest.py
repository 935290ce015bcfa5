"""Small models beside one another, evaluated as they are, and with all attacks and measures."""

import shutil

import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split_file import write_split
from asr_unlearn.evaluation.evaluate import evaluate
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from tests.support.attacked_models import evaluate as evaluate_all
from tests.support.attacked_models import of


@pytest.fixture
def setting(corpus, tiny_config, tmp_path):
    """Two models of one seed that write long transcripts, and a copy of the first, renamed."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    for name, seed in (("original", 0), ("retrained", 1)):
        model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed)
        torch.nn.init.normal_(model.lm_head.weight, std=20.0)
        save_model(model, processor, tmp_path / name)
    shutil.copytree(tmp_path / "original", tmp_path / "renamed")
    models = [SavedModel(name, 0, tmp_path / name) for name in ("original", "retrained", "renamed")]

    def run(*chosen, root=tmp_path, manifest=data.manifest, **given):
        return evaluate(
            chosen or models,
            manifest,
            data.split,
            root=root,
            corpus="hums",
            left_out={},
            device=torch.device("cpu"),
            **given,
        )

    return tmp_path, run


@pytest.fixture(scope="package")
def data(corpus, tmp_path_factory):
    """The hums with two speakers to forget, two unseen ones, and three to retain."""
    folder = tmp_path_factory.mktemp("attacks")
    shutil.copytree(corpus, folder, dirs_exist_ok=True)
    manifest = folder / "manifest.jsonl"
    split = make_split(read_manifest(manifest), ["s0", "s1"], seed=0, heldout=0.25, unseen=0.4)
    write_split(folder / "split.json", split, manifest)
    return Corpus.read(manifest, folder / "split.json", folder)


@pytest.fixture(scope="package")
def evaluated(data, tiny_config):
    out = data.cache
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        argv = ["train", *of(data), "--model", str(tiny_config), "--parts", parts]
        main([*argv, "--out", str(out / name), "--finetune.epochs", "2"])
    argv = ["unlearn", *of(data), "--model", str(out / "original"), "--out", str(out / "forgotten")]
    options = [
        "--method",
        "neggrad_plus",
        "--method.epochs",
        "1",
        "--method.alpha",
        "0.8",
        "--stop.rule",
        "steps",
    ]
    main([*argv, *options])
    return evaluate_all(data)

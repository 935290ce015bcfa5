"""Three models of the hums and their evaluation with all attacks, made once."""

import shutil

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.make_split import make_split
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split_file import write_split
from tests.support.attacked_models import evaluate, of


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
    return evaluate(data)

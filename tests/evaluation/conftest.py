"""Three small models beside one another, and their evaluation."""

import shutil

import pytest
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.evaluation.evaluate import evaluate
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel


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

"""Programs that are run in this process, and a corpus and model for them."""

import json
import shutil
import sys

import pytest

from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.models.loading import model_from_config, save_model

UNEXPECTED = ("Traceback", "give --debug for the traceback")


@pytest.fixture
def said(monkeypatch, capsys):
    """Run a program; its exit status and the one line that it ends with.

    There is no traceback nor a hint to ask for one, and nothing that a terminal would act on.
    """

    def run(main, *argv):
        monkeypatch.setattr(sys, "argv", ["asr-unlearn", *map(str, argv)])
        try:
            status = main()
        except SystemExit as ended:
            status = ended.code
        shown = capsys.readouterr().err
        lines = [line for line in shown.splitlines() if line.strip()]
        assert not [words for words in UNEXPECTED if words in shown], shown
        assert not set("\x1b\r\u202e") & set(shown)
        return status or 0, lines[-1] if lines else ""

    return run


@pytest.fixture(scope="session")
def saved(corpus, tiny_config, tmp_path_factory):
    """A model folder with the weights that training starts from."""
    folder = tmp_path_factory.mktemp("saved") / "original"
    alphabet = alphabet_of(read_manifest(corpus / "manifest.jsonl"))
    save_model(*model_from_config(str(tiny_config), alphabet, 0), folder)
    return folder


@pytest.fixture
def folder(corpus, saved, tmp_path):
    """A folder that a test may spoil: manifest.jsonl, split.json, recordings, and a model."""
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    shutil.copytree(saved, tmp_path / "original")
    (tmp_path / "original" / "run.json").write_text(json.dumps(RUN))
    return tmp_path


RUN = {
    "kind": "train",
    "seed": 0,
    "steps": 1,
    "seconds": 1.0,
    "parameters": 1,
    "options": {"parts": ["retain", "forget"], "model": "tiny"},
}

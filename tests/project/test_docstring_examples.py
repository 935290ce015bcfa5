"""The examples of the Python functions run, one after the other, as a user would run them."""

import doctest
import inspect
import re
import shutil
from pathlib import Path

import pytest

import asr_unlearn

ROOT = Path(__file__).resolve().parents[2]
# In the order in which one needs the other's output.
FUNCTIONS = ("split", "train", "unlearn", "evaluate", "report", "verify", "purge")


@pytest.fixture
def folder(corpus, tiny_config, tmp_path, monkeypatch):
    """The current folder, with a manifest and the config of a tiny model."""
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    (tmp_path / "split.json").unlink()
    shutil.copytree(tiny_config, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_run(folder, capsys):
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for name in FUNCTIONS:
        function = getattr(asr_unlearn, name)
        (example,) = finder.find(function, name, globs={})
        assert example.examples, name
        failures = runner.run(example).failed
        assert not failures, capsys.readouterr().out
    assert (folder / "out" / "results.json").is_file()
    assert not (folder / "out" / ".cache").exists()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_say_what_is_given_returned_and_raised(name):
    function = getattr(asr_unlearn, name)
    docstring = inspect.getdoc(function)
    for section in ("Args:", "Returns:", "Raises:", "Examples:"):
        assert f"\n{section}\n" in docstring, section
    for parameter, declared in inspect.signature(function).parameters.items():
        assert declared.annotation is not inspect.Parameter.empty, parameter
    assert inspect.signature(function).return_annotation is not inspect.Signature.empty


def test_the_public_names_are_all_there():
    wanted = {*FUNCTIONS, "read_manifest", "load_model", "Method", "METHODS", "Stop"}
    assert wanted <= set(asr_unlearn.__all__)
    for name in asr_unlearn.__all__:
        assert getattr(asr_unlearn, name) is not None
    assert callable(asr_unlearn.report)


def test_the_documentation_lists_the_public_names():
    page = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^        - (\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(set(asr_unlearn.__all__) - {"__version__"})

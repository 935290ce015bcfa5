"""With --json each command prints one JSON document, and nothing else, on standard output."""

import json
import shutil

import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.methods import METHODS
from asr_unlearn.runtime.errors import InputError
from tests.support.evaluated import evaluate_three


@pytest.fixture
def printed(capsys):
    """Runs a command with --json; returns what it printed."""

    def run(*words):
        capsys.readouterr()
        main([*map(str, words), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def test_the_way_from_a_corpus_to_a_checked_record(corpus, tiny_config, tmp_path, printed):
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    data = ("--manifest", tmp_path / "manifest.jsonl", "--split", tmp_path / "split.json")
    found = printed("split", *data[:2], "--draw", "2", "--out", tmp_path / "split.json")
    assert len(found["forget_speakers"]) == 2
    assert found["utterances"]["forget"] > 0
    for name, parts in (("original", "retain,forget"), ("retrained", "retain")):
        found = printed("train", *data, "--model", tiny_config, "--parts", parts,
                        "--finetune.epochs", "1", "--out", tmp_path / name)  # fmt: skip
        assert found["folder"] == str(tmp_path / name)
        assert found["outcome"]["steps"] > 0
    found = printed("unlearn", *data, "--model", tmp_path / "original", "--method",
                    "gradient_ascent", "--method.epochs", "1", "--stop.rule", "steps",
                    "--out", tmp_path / "forgotten")  # fmt: skip
    assert found["outcome"]["steps"] > 0
    found = printed("evaluate", *data, "--models", "original,retrained,forgotten",
                    "--out", tmp_path / "results.json")  # fmt: skip
    assert found == json.loads((tmp_path / "results.json").read_text())
    found = printed("report", "--results", tmp_path / "results.json")
    assert found == {"markdown": str(tmp_path / "report.md"), "html": str(tmp_path / "report.html")}
    found = printed("verify", "--model", tmp_path / "forgotten")
    assert found["changed"] == []
    assert found["states"]["weights_after"] == "as recorded"


def test_a_record_that_does_not_fit_is_printed_and_still_an_error(
    corpus, tiny_config, tmp_path, capsys
):
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    evaluate_three(tmp_path, tiny_config, tmp_path)
    (tmp_path / "forgotten" / "model.safetensors").write_bytes(b"")
    capsys.readouterr()
    with pytest.raises(InputError, match="weights_after"):
        main(["verify", "--model", str(tmp_path / "forgotten"), "--json"])
    assert "weights_after" in json.loads(capsys.readouterr().out)["changed"]


def test_methods_with_their_options(printed):
    found = printed("methods")
    assert found.keys() == METHODS.keys()
    assert found["npo"]["paper"] == "arXiv 2404.05868"
    assert found["npo"]["options"]["beta"] == 0.1

"""Flags of the commands, as people write them."""

import json

import pytest

from asr_unlearn.cli import main
from asr_unlearn.commands import evaluation
from asr_unlearn.manifest import Utterance, write_manifest


@pytest.mark.parametrize("manifest", ["manifest.jsonl", "./manifest.jsonl", "../{}/manifest.jsonl"])
def test_the_corpus_is_called_after_the_manifests_folder(manifest, corpus, monkeypatch):
    class Asked(Exception):  # noqa: N818
        """What was to be evaluated."""

    def asked(*_, **options):
        raise Asked(options["corpus"])

    monkeypatch.setattr(evaluation, "evaluate_models", asked)
    monkeypatch.setattr(evaluation, "_models", lambda *_, **__: [])
    monkeypatch.chdir(corpus)
    argv = ["--manifest", manifest.format(corpus.name), "--split", "split.json", "--models", "m"]
    with pytest.raises(Asked, match=f"^{corpus.name}$"):
        main(["evaluate", *argv, "--out", "results.json"])


@pytest.fixture
def words(tmp_path):
    """A folder with the manifest of six speakers who say three words, one of them long."""
    said = ["up", "down", "long" * 80]
    rows = [(f"s{i}", word) for i in range(6) for word in said]
    write_manifest(
        tmp_path / "manifest.jsonl",
        [
            Utterance(
                id=f"{speaker}-{word}",
                audio=tmp_path / "a.wav",
                speaker=speaker,
                seconds=1.0,
                label=word,
            )
            for speaker, word in rows
        ],
    )
    return tmp_path


@pytest.mark.parametrize(
    ("given", "forgotten"),
    [("up", ["up"]), ("up, down,", ["down", "up"]), ("long" * 80, ["long" * 80])],
)
def test_labels_to_forget(given, forgotten, words):
    argv = ["split", "--manifest", str(words / "manifest.jsonl"), "--out", str(words / "s.json")]
    main([*argv, "--forget_labels", given])
    assert json.loads((words / "s.json").read_text())["forget_labels"] == forgotten

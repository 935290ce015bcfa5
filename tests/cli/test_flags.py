"""Flags of the commands, as people write them."""

import json
from dataclasses import replace

import pytest

from asr_unlearn.api import evaluating
from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import Utterance, read_manifest, write_manifest


@pytest.mark.parametrize("manifest", ["manifest.jsonl", "./manifest.jsonl", "../{}/manifest.jsonl"])
def test_the_corpus_is_called_after_the_manifests_folder(manifest, corpus, monkeypatch):
    class Evaluated(Exception):  # noqa: N818
        """What was to be evaluated."""

    def asked(*_, **options):
        raise Evaluated(options["corpus"])

    monkeypatch.setattr(evaluating, "evaluate_models", asked)
    monkeypatch.setattr(evaluating, "_models", lambda *_, **__: [])
    monkeypatch.chdir(corpus)
    argv = ["--manifest", manifest.format(corpus.name), "--split", "split.json", "--models", "m"]
    with pytest.raises(Evaluated, match=f"^{corpus.name}$"):
        main(["evaluate", *argv, "--out", "results.json"])


@pytest.mark.parametrize(
    "argv",
    [
        ["split", "--draw", "-1"],
        ["split", "--draw", "1.5"],
        ["evaluate", "--split", "split.json", "--models", "m", "--beams", "0"],
    ],
)
def test_what_cannot_be_counted_is_refused(argv, corpus, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*argv, "--manifest", str(corpus / "manifest.jsonl"), "--out", "out.json"])
    assert f"{argv[-2][2:]}: Not of type" in capsys.readouterr().err


@pytest.mark.parametrize("models", ["", " , "])
def test_some_model_must_be_named(models, corpus, tmp_path):
    argv = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    (tmp_path / "original").mkdir()
    (tmp_path / "original" / "config.json").touch()
    argv += ["--models", models, "--out", str(tmp_path / "results.json")]
    with pytest.raises(ValueError, match=r"--models names none of original$"):
        main(["evaluate", *argv])


@pytest.mark.parametrize("seconds", ["-1", "0.001", ".nan", ".inf"])
def test_pieces_that_are_too_short_for_the_model_are_refused(
    seconds, corpus, tiny_config, tmp_path
):
    argv = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    argv += ["--model", str(tiny_config), "--out", str(tmp_path / "m"), "--crop_seconds", seconds]
    with pytest.raises(
        ValueError, match=f"--crop_seconds {seconds.lstrip('.')}: give enough for the model"
    ):
        main(["train", *argv])
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("command", ["train", "unlearn", "tune", "evaluate"])
def test_a_corpus_must_be_measured(command, corpus, tmp_path):
    manifest, split = tmp_path / "manifest.jsonl", tmp_path / "split.json"
    utterances = read_manifest(corpus / "manifest.jsonl")
    without_retrained = [replace(u, seconds=0.0) if u.id == "s3-1" else u for u in utterances]
    write_manifest(manifest, without_retrained)
    main(["split", "--manifest", str(manifest), "--out", str(split), "--draw", "1"])
    argv = [
        command,
        "--manifest",
        str(manifest),
        "--split",
        str(split),
        "--out",
        str(tmp_path / "out"),
    ]
    argv += ["--models" if command == "evaluate" else "--model", "m"]
    with pytest.raises(
        ValueError, match=r"s3-1 has 0 seconds; run python -m data_prep\.check first"
    ):
        main(argv)


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

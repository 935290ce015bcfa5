"""Figures come from saved models, equal jiwer's, and cannot be earned by renaming."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.evaluation.jobs import Workers
from asr_unlearn.evaluation.results import read_results
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.reporting import write_report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AB " * 90, r"utterance s3-1: .* of audio have no room for the \d+ labels of 'AB AB"),
        ("EZ", "utterance s3-1: the vocabulary lacks 'E'"),
    ],
)
def test_an_utterance_without_a_target_is_named_before_any_is_transcribed(
    text, message, setting, corpus, monkeypatch
):
    _, run = setting
    monkeypatch.setattr(
        "asr_unlearn.evaluation.evaluate.transcribe", lambda *_, **__: pytest.fail("transcribed")
    )
    manifest = read_manifest(corpus / "manifest.jsonl")
    odd = [replace(u, text=text.strip()) if u.id == "s3-1" else u for u in manifest]
    with pytest.raises(ValueError, match=f"^{message}"):
        run(manifest=odd)


def test_models_that_results_could_not_tell_apart_are_refused_at_once(setting, monkeypatch):
    folder, run = setting
    monkeypatch.setattr(
        "asr_unlearn.evaluation.evaluate.transcribe", lambda *_, **__: pytest.fail("transcribed")
    )
    elsewhere = folder.with_name("elsewhere") / "original"
    shutil.copytree(folder / "original", elsewhere)
    with pytest.raises(ValueError, match=f"{elsewhere} is not under .*: models must be beside"):
        run(SavedModel.at(elsewhere))
    original = SavedModel.at(folder / "original")
    with pytest.raises(ValueError, match=r"2 models are called original with seed 0: .*, "):
        run(original, original)


def test_models_transcribed_at_the_same_time_have_the_figures_of_one_after_the_other(setting):
    folder, run = setting
    alone = run()
    shutil.rmtree(folder / ".cache")
    together = run(workers=Workers(2))
    # Other processes open it.
    assert (folder / "transcription.log").is_file()
    for one, two in zip(alone.models, together.models, strict=True):
        assert two.name == one.name
        for figure in ("wer", "cer", "loss", "membership", "ci95"):
            assert two.record[figure] == one.record[figure], figure


def test_models_may_be_named_by_their_whole_path(setting, monkeypatch):
    folder, run = setting
    monkeypatch.chdir(folder)
    (entry,) = run(SavedModel.at(folder / "original"), root=Path()).results["models"]
    assert entry["path"] == "original"


def test_the_original_and_the_retrained_model_may_have_other_names(setting, corpus):
    folder, _ = setting
    (folder / "original").rename(folder / "finetuned")
    (folder / "retrained").rename(folder / "without")
    argv = ["evaluate", "--models", "renamed", "--out", str(folder / "results.json")]
    argv += ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    main([*argv, "--original", "finetuned", "--retrained", "without"])
    entries = read_results(folder / "results.json").record["models"]
    places = [("original", "finetuned"), ("retrained", "without"), ("renamed", "renamed")]
    assert [(entry["name"], entry["path"]) for entry in entries] == places
    assert all("gap_to_retrained" in entry for entry in entries)
    for attack in ("--measures=relearning", "--shadows=2"):
        with pytest.raises(ValueError, match=f"{attack[:9]}.*give its folder as --original"):
            main([*argv, attack])


def test_rates_are_those_of_the_rows_and_of_jiwer(setting):
    folder, run = setting
    for entry in run().results["models"]:
        lines = (
            (folder / ".cache/predictions" / entry["path"] / "utterances.jsonl")
            .read_text()
            .splitlines()
        )
        rows = [json.loads(line) for line in lines]
        assert set(entry["wer"]) == set(OF_EVERY_SPLIT) == {r["part"] for r in rows}
        for part in OF_EVERY_SPLIT:
            chosen = [r for r in rows if r["part"] == part]
            texts = [r["reference"] for r in chosen], [r["hypothesis"] for r in chosen]
            assert entry["wer"][part] == pytest.approx(jiwer.wer(*texts))
            assert entry["cer"][part] == pytest.approx(jiwer.cer(*texts))
            mean = sum(r["loss"] for r in chosen) / len(chosen)
            assert entry["loss"][part] == pytest.approx(mean)
        # The other parts have two speakers, which tell nothing of how speakers differ.
        assert set(entry["ci95"]["wer"]) == {"retain"}
        low, high = entry["ci95"]["wer"]["retain"]
        assert low < entry["wer"]["retain"] < high


def test_a_model_that_was_only_renamed_has_forgotten_nothing(setting):
    _, run = setting
    original, retrained, renamed = run().results["models"]
    shared = ("wer", "cer", "loss", "gap_to_retrained", "divergence", "membership", "cka")
    for figure in shared:
        assert renamed[figure] == original[figure]
    assert retrained["gap_to_retrained"]["avg_d"] == 0
    assert retrained["cka"]["forget"] == pytest.approx({"1": 1.0, "2": 1.0})
    assert all(cka < 0.99 for part in original["cka"].values() for cka in part.values())
    for figure in ("emd_forget_loss", "ks_forget_loss", "kl_forget", "kl_test"):
        assert retrained["divergence"][figure] == 0
        assert original["divergence"][figure] > 0
    assert (retrained["divergence"]["ks_p"], original["divergence"]["ks_p"] < 1) == (1, True)


def test_results_fit_the_schema_and_become_a_report(setting):
    folder, run = setting
    path = folder / "results.json"
    evaluation = run()
    assert evaluation.path is None
    written = evaluation.write(path)
    assert written.path == path
    read = read_results(path)
    assert read.record == evaluation.results
    assert read.models == evaluation.models == written.models
    assert [model.folder for model in read.models] == [
        folder / name for name in ("original", "retrained", "renamed")
    ]
    markdown, page = write_report(folder / "results.json")
    assert "renamed" in markdown.read_text()
    assert "<svg" in page.read_text()

"""Figures come from saved models, equal jiwer's, and cannot be earned by renaming."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import alphabet_of
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.evaluate import evaluate
from asr_unlearn.evaluation.predictions import mean_states, transcribe
from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.models import saved_model as saved_module
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.loading import model_from_config, save_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.report import write_report


@pytest.fixture
def setting(corpus, tiny_config, tmp_path):
    """Two talkative models of one seed, and a third that is the first under another name."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    for name, seed in (("original", 0), ("retrained", 1)):
        model, processor = model_from_config(str(tiny_config), alphabet_of(data.manifest), seed)
        torch.nn.init.normal_(model.lm_head.weight, std=20.0)
        save_model(model, processor, tmp_path / name)
    shutil.copytree(tmp_path / "original", tmp_path / "renamed")
    models = [SavedModel(name, 0, tmp_path / name) for name in ("original", "retrained", "renamed")]

    def run(*chosen, root=tmp_path, manifest=data.manifest):
        return evaluate(
            chosen or models,
            manifest,
            data.split,
            root=root,
            corpus="hums",
            left_out={},
            device=torch.device("cpu"),
        ).results

    return tmp_path, run


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


def test_models_may_be_named_by_their_whole_path(setting, monkeypatch):
    folder, run = setting
    monkeypatch.chdir(folder)
    (entry,) = run(SavedModel.at(folder / "original"), root=Path())["models"]
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
    for attack in ("--relearn=true", "--shadows=2"):
        with pytest.raises(ValueError, match=f"{attack[:9]}.*give its folder as --original"):
            main([*argv, attack])


def test_rates_are_those_of_the_rows_and_of_jiwer(setting):
    folder, run = setting
    for entry in run()["models"]:
        lines = (folder / entry["path"] / "utterances.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert set(entry["wer"]) == set(PARTS) == {r["part"] for r in rows}
        for part in PARTS:
            chosen = [r for r in rows if r["part"] == part]
            texts = [r["reference"] for r in chosen], [r["hypothesis"] for r in chosen]
            assert entry["wer"][part] == pytest.approx(jiwer.wer(*texts))
            assert entry["cer"][part] == pytest.approx(jiwer.cer(*texts))
            mean = sum(r["loss"] for r in chosen) / len(chosen)
            assert entry["loss"][part] == pytest.approx(mean)
    # Speakers s0 and s1 are the forget set, so an interval over speakers exists.
    assert len(entry["ci95"]["wer"]["forget"]) == 2


def test_a_model_that_was_only_renamed_has_forgotten_nothing(setting):
    _, run = setting
    original, retrained, renamed = run()["models"]
    shared = ("wer", "cer", "loss", "gap_to_retrained", "divergence", "membership")
    for figure in shared:
        assert renamed[figure] == original[figure]
    assert retrained["gap_to_retrained"]["avg_d"] == 0
    for figure in ("emd_forget_loss", "kl_forget", "kl_test"):
        assert retrained["divergence"][figure] == 0
        assert original["divergence"][figure] > 0


def test_the_divergence_is_that_of_each_utterance_alone(setting, corpus):
    folder, run = setting
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    found = run()["models"][0]["divergence"]["kl_forget"]
    tasks = [SavedModel.at(folder / n).task(torch.device("cpu")) for n in ("retrained", "original")]
    each = []
    for utterance in data.part("forget"):
        with torch.no_grad():
            (p, _), (q, _) = (
                task.distributions(collate([Inputs(task)(utterance)])) for task in tasks
            )
        each.append(torch.nn.functional.kl_div(q[0], p[0], log_target=True, reduction="sum"))
        each[-1] /= p.shape[1]
    assert found == pytest.approx(float(sum(each) / len(each)), rel=1e-4)


def test_rows_are_reused_until_the_weights_change(setting, monkeypatch):
    folder, run = setting
    run()
    monkeypatch.setattr("asr_unlearn.models.saved_model.load_model", lambda path: pytest.fail(path))
    again = run()
    monkeypatch.undo()
    assert again["models"][0]["wer"]
    shutil.copy(folder / "retrained" / "model.safetensors", folder / "renamed")
    changed = run()["models"]
    assert changed[2]["loss"] == changed[1]["loss"]
    assert changed[2]["loss"] != changed[0]["loss"]


def test_results_fit_the_schema_and_become_a_report(setting):
    folder, run = setting
    write_results(folder / "results.json", run())
    assert read_results(folder / "results.json")
    markdown, page = write_report(folder / "results.json")
    assert "renamed" in markdown.read_text()
    assert "<svg" in page.read_text()


@pytest.mark.parametrize("changed", ["sha256", "speaker", "settings"])
def test_a_model_is_evaluated_again_when_anything_has_changed(
    changed, setting, corpus, monkeypatch
):
    folder, run = setting
    run()
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    manifest = data.manifest
    if changed != "settings":
        manifest = [replace(manifest[0], **{changed: "another"}), *manifest[1:]]
    else:
        path = folder / "original" / "processor_config.json"
        path.write_text(path.read_text().replace('"do_normalize": true', '"do_normalize": false'))
    loaded = []
    load = saved_module.load_model
    monkeypatch.setattr(saved_module, "load_model", lambda path: loaded.append(path) or load(path))
    model, device = SavedModel.at(folder / "original"), torch.device("cpu")
    transcribe(model, manifest, data.split, device=device)
    mean_states(model, manifest[:4], device=device)
    mean_states(model, manifest[:4], device=device)
    transcribe(model, manifest, data.split, device=device)
    assert len(loaded) == 2


def test_ids_may_hold_what_looks_like_the_end_of_a_line(setting, corpus):
    folder, _ = setting
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    odd = replace(data.part("forget")[0], id="one\u2028two\u0085three")
    split = replace(data.split, parts={"forget": (odd.id,)})
    model, device = SavedModel.at(folder / "original"), torch.device("cpu")
    (row,) = transcribe(model, [odd], split, device=device, parts=["forget"])
    assert row["id"] == odd.id

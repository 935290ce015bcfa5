"""Predictions come from the cache until the weights, settings or utterances have changed."""

import shutil
from dataclasses import replace

import pytest
import torch

from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.predictions import divergence, mean_states, transcribe
from asr_unlearn.models import saved_model as saved_module
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.saved_model import SavedModel


def test_the_divergence_is_that_of_each_utterance_alone(setting, corpus):
    folder, run = setting
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    found = run().results["models"][0]["divergence"]["kl_forget"]
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
    assert again.results["models"][0]["wer"]
    shutil.copy(folder / "retrained" / "model.safetensors", folder / "renamed")
    changed = run().results["models"]
    assert changed[2]["loss"] == changed[1]["loss"]
    assert changed[2]["loss"] != changed[0]["loss"]


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


def edited(content):
    """A transcript is changed, at the same length."""
    return content.replace(b'"part": "', b'"part": "x', 1).replace(b'"id": "s', b'"id": "', 1)


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [edited, flipped, lambda c: c[:-1], lambda c: b""])
@pytest.mark.parametrize("name", ["utterances.jsonl", "states.npz", "divergence.json"])
def test_kept_predictions_that_were_damaged_are_computed_again(
    name, damage, setting, corpus, monkeypatch
):
    folder, _ = setting
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    some, device = data.manifest[:3], torch.device("cpu")
    original, retrained = (SavedModel.at(folder / n) for n in ("original", "retrained"))
    split = replace(data.split, parts={"forget": tuple(u.id for u in some)})
    ask = {
        "utterances.jsonl": lambda: transcribe(
            original, some, split, device=device, parts=["forget"]
        ),
        "states.npz": lambda: mean_states(original, some, device=device).tolist(),
        "divergence.json": lambda: divergence(retrained, original, some, device=device),
    }[name]
    right = ask()
    file = original.predictions / name
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert ask() == right
    assert file.read_bytes() == whole
    monkeypatch.setattr(saved_module, "load_model", lambda path: pytest.fail("computed again"))
    assert ask() == right

"""The model called retrained was not trained on the forget speakers, as far as it says."""

import json
from dataclasses import replace

import pytest

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.make_split import make_split
from asr_unlearn.evaluation.compared_models import (
    check_originals,
    check_retrained,
    check_tasks,
    forgets_classes,
    without_retrained,
)
from asr_unlearn.models.saved_model import SavedModel


@pytest.fixture
def data(corpus):
    return Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")


def retrained(folder, **run):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run))
    return SavedModel("retrained", 0, folder)


def test_a_model_that_was_trained_on_them_is_refused(data, tmp_path):
    options = {"parts": ["retain", "forget"]}
    model = retrained(tmp_path / "m", kind="train", options=options, request=data.split.digest)
    with pytest.raises(ValueError, match="trained on the parts retain, forget; `asr-unlearn train"):
        check_retrained([model], data.split)


def test_a_model_that_was_retrained_for_another_request_is_refused(data, tmp_path):
    options = {"parts": ["retain"]}
    model = retrained(tmp_path / "m", kind="train", options=options, request=data.split.digest)
    check_retrained([model], data.split)
    other = make_split(data.manifest, [data.split.parts["retain"][0].split("-")[0]])
    with pytest.raises(
        ValueError, match="called retrained, but is not: it was trained for another split"
    ):
        check_retrained([model], other)


def test_a_model_that_was_unlearned_is_refused(data, tmp_path):
    model = retrained(tmp_path / "m", kind="unlearn", request=data.split.digest)
    with pytest.raises(ValueError, match="it was unlearned, and was trained on"):
        check_retrained([model], data.split)


@pytest.mark.parametrize("other", ["forget_heldout", "unseen", "test"])
def test_a_model_that_was_retrained_on_more_than_retain_is_refused(data, tmp_path, other):
    run = {"kind": "train", "options": {"parts": ["retain", other]}, "request": data.split.digest}
    with pytest.raises(ValueError, match=f"trained on the parts retain, {other}; "):
        check_retrained([retrained(tmp_path / "m", **run)], data.split)


def saved(folder, weights, name=None, original=None, **run):
    """A model's folder with a run.json, whose weights are some bytes."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights)
    model = SavedModel(name or folder.name, 0, folder)
    if original is not None:
        source = {"path": f"../{original.folder.name}", "sha256": original.weights()}
        run = {"kind": "unlearn", "original": source, **run}
    (folder / "run.json").write_text(json.dumps(run))
    return model


def test_an_original_that_was_unlearned_for_this_request_is_refused(data, tmp_path):
    original = saved(tmp_path / "original", b"0")
    request = {"request": data.split.digest}
    forgotten = saved(tmp_path / "forgotten", b"1", "original", original, **request)
    with pytest.raises(ValueError, match="called original, but was unlearned for this request"):
        check_originals([forgotten], data.split)
    # That of a later request was unlearned for the one before.
    earlier = saved(tmp_path / "earlier", b"1", "original", original, request="another")
    check_originals([earlier], data.split)


@pytest.mark.parametrize("other", ["unseen", "test"])
def test_an_original_that_was_trained_on_everybody_is_refused(data, tmp_path, other):
    run = {"kind": "train", "request": data.split.digest}
    for parts in (["retain", "forget"], ["retain", "forget", other]):
        options = {"parts": parts}
        model = saved(tmp_path / f"{len(parts)}", b"0", "original", options=options, **run)
        if other not in parts:
            check_originals([model], data.split)
            continue
        with pytest.raises(ValueError, match=f"was trained on {other} too"):
            check_originals([model], data.split)


def test_an_original_that_was_trained_for_another_split_is_named(data, tmp_path, caplog):
    options = {"parts": ["retain", "forget"]}
    model = saved(tmp_path / "original", b"0", kind="train", request="another", options=options)
    check_originals([model], data.split)
    assert "was trained for another split" in caplog.text
    caplog.clear()
    check_originals([model], replace(data.split, forgotten_speakers=("s3",)))
    assert not caplog.text


def test_an_original_that_is_another_model_is_named(data, tmp_path, caplog):
    original, other = (saved(tmp_path / name, name.encode()) for name in ("original", "other"))
    once = saved(tmp_path / "once", b"1", original=original)
    twice = saved(tmp_path / "twice", b"2", original=once)
    check_originals([original, once, twice, other], data.split)
    assert not caplog.text
    named = replace(other, name="original")
    check_originals([named, once], data.split)
    assert f"{once.folder}: by its run.json it was unlearned from other weights" in caplog.text
    caplog.clear()
    # What it was unlearned from is gone, and may have been unlearned from the original.
    (once.folder / "model.safetensors").unlink()
    (once.folder / "run.json").unlink()
    check_originals([named, twice], data.split)
    assert not caplog.text


@pytest.mark.parametrize("run", [{}, {"kind": "train", "options": {"parts": ["retain"]}}])
def test_a_model_that_does_not_say_is_taken_at_its_word(run, data, tmp_path):
    check_retrained([retrained(tmp_path / "m", **run)], data.split)


def test_models_of_a_seed_without_a_retrained_one(tmp_path):
    one, other = (SavedModel("ga", seed, tmp_path) for seed in (0, 1))
    gold = SavedModel("retrained", 0, tmp_path)
    assert without_retrained([gold, one, other]) == [other]
    assert without_retrained([one, other]) == []


def test_classes_are_forgotten_by_classifiers_without_retained_ones(data, tmp_path, monkeypatch):
    """Speakers are the classes where utterances have no label."""
    models = [SavedModel("m", 0, tmp_path)]
    kinds = {"ctc": False, "seq2seq": False, "classification": True}
    for kind, expected in kinds.items():
        monkeypatch.setattr(SavedModel, "kind", lambda _, kind=kind: kind)
        assert forgets_classes(models, data) == expected
    labelled = replace(data, manifest=[replace(u, label="yes") for u in data.manifest])
    assert not forgets_classes(models, labelled)


def test_models_of_different_tasks_are_refused(tmp_path, monkeypatch):
    models = [SavedModel(name, 0, tmp_path) for name in ("ctc", "seq2seq")]
    monkeypatch.setattr(SavedModel, "kind", lambda self: self.name)
    with pytest.raises(ValueError, match="different tasks cannot be compared: ctc, seq2seq"):
        check_tasks(models)

"""What is called retrained has not met those to be forgotten, as far as it says."""

import json

import pytest

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import make_split
from asr_unlearn.evaluation.compared_models import check_retrained, without_retrained
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


@pytest.mark.parametrize("run", [{}, {"kind": "train", "options": {"parts": ["retain"]}}])
def test_a_model_that_does_not_say_is_taken_at_its_word(run, data, tmp_path):
    check_retrained([retrained(tmp_path / "m", **run)], data.split)


def test_models_of_a_seed_without_a_retrained_one(tmp_path):
    one, other = (SavedModel("ga", seed, tmp_path) for seed in (0, 1))
    gold = SavedModel("retrained", 0, tmp_path)
    assert without_retrained([gold, one, other]) == [other]
    assert without_retrained([one, other]) == []

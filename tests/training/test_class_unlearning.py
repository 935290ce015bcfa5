"""Figures of classifiers: accuracy, confusion, who is compared with whom, and forgotten classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as expected_confusion
from transformers import Wav2Vec2Config

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import disjoint
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import OF_EVERY_SPLIT
from asr_unlearn.evaluation.attacks.observations import compared
from asr_unlearn.evaluation.error_rates import confusion_on_test, figures_by_part
from asr_unlearn.evaluation.predictions import transcribe
from asr_unlearn.metrics.accuracy import accuracy, confusion
from asr_unlearn.metrics.gap import gap
from asr_unlearn.metrics.mia import matched
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import group_score, with_known_labels
from asr_unlearn.models.loading import model_from_config, save_model, vocabulary_of
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import task_for
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.tune import TuningProblem, ranked, tune
from asr_unlearn.training.unlearning_data import UnlearningData, relabelled_unseen
from tests.support.tiny_model import tiny_options


def test_accuracy_has_the_interval_of_its_error_rate():
    wrong, speakers = [0, 0, 0, 1, 0, 1], ["a", "a", "b", "b", "c", "c"]
    share, interval = accuracy(wrong, speakers)
    assert share == pytest.approx(2 / 3)
    # Residuals -2/3, 1/3 and 1/3 of six, so a standard error of 1/6; Student's t for two is 4.303.
    # The upper end of the error rate is above 1.
    assert interval == pytest.approx((0.0, 1 - np.exp(-4.302653 / 2) / 3))
    assert accuracy([0, 1], ["a", "b"]) == (0.5, None)


@given(st.data())
def test_confusion_is_scikit_learns(data):
    labels = ["down", "go", "up"]
    truth = data.draw(st.lists(st.sampled_from(labels), min_size=1, max_size=30))
    predictions = [data.draw(st.sampled_from(labels)) for _ in truth]
    found = confusion(truth, predictions, labels)
    assert found["labels"] == labels
    assert found["counts"] == expected_confusion(truth, predictions, labels=labels).tolist()


def test_a_matrix_too_large_to_read_is_left_out():
    labels = [str(i) for i in range(41)]
    assert confusion(labels, labels, labels) is None
    assert confusion(labels[:40], labels[:40], labels[:40])["counts"][39][39] == 1


def row(part, speaker, word, prediction, loss=0.1):
    return {
        "id": f"{part}/{speaker}/{word}",
        "part": part,
        "speaker": speaker,
        "seconds": 1.0,
        "reference": word,
        "hypothesis": prediction,
        "loss": loss,
        "confidence": 0.9,
        "entropy": 0.1,
        "errors": int(word != prediction),
    }


ROWS = [
    row("forget", "f", "up", "up", 0.5),
    row("forget", "f", "go", "up", 1.5),
    row("retain", "a", "up", "up"),
    row("retain", "b", "go", "go"),
    row("unseen", "u", "up", "go"),
    row("test", "t", "up", "up"),
    row("test", "v", "go", "up"),
]


def test_a_classifier_has_an_accuracy_and_no_error_rates():
    found = figures_by_part(ROWS)
    assert found["accuracy"] == {"forget": 0.5, "retain": 1.0, "unseen": 0.0, "test": 0.5}
    assert found["loss"]["forget"] == 1.0
    assert found["ci95"]["accuracy"] == {}  # of one or two speakers
    assert not {"wer", "cer"} & (set(found) | set(found["ci95"]))
    assert confusion_on_test(ROWS) == {
        "confusion": {"labels": ["go", "up"], "counts": [[0, 1], [0, 1]]}
    }
    assert confusion_on_test([r for r in ROWS if r["part"] != "test"]) == {}


def test_gap_to_retrained_is_taken_in_accuracy():
    model = figures_by_part(ROWS)
    gold = figures_by_part([{**r, "errors": 0} for r in ROWS])
    found = gap(model, gold)
    assert found["accuracy"] == {"forget": -0.5, "retain": 0.0, "unseen": -1.0, "test": -0.5}
    assert found["avg_d"] == 0.5
    assert found["tow"] == 0.25
    assert "wer" not in found


def test_unseen_utterances_are_matched_by_class():
    """In the order of the corpus all of one word come first, and every clip has one second."""
    rows = [row("forget", "m", word, word) for word in ("a", "b", "c") * 3]
    rows += [row("unseen", "o", word, word) for word in "aaaaabbbbbccccc"]
    inside, outside = matched(*compared(rows, target=1.0, forgets_classes=False))
    assert len(inside) == 9
    assert [o.name for o in inside] == [o.name for o in outside]


def test_a_forgotten_class_is_compared_with_its_held_out_utterances():
    rows = [row("forget", s, "up", "up") for s in "abcd"]
    rows += [row("forget_heldout", s, "up", "go", 2.0) for s in "ab"]
    # Speakers never trained on have other losses.
    rows += [row("forget_heldout", "other", "up", "up")]
    rows += [row("retain", s, "go", "go") for s in "abcd"]
    rows += [row("unseen", "u", "go", "go", 9.0)]
    inside, outside = compared(rows, target=3.0, forgets_classes=True)
    assert [o.speaker for o in inside] == list("abcd")
    assert [(o.speaker, o.loss, o.error_rate) for o in outside] == [("a", 2.0, 1), ("b", 2.0, 1)]
    assert {o.target for o in inside + outside} == {3.0}
    # The forget speakers' utterances are compared with those of unseen speakers.
    rows.append(row("retain", "e", "up", "up"))
    inside, outside = compared(rows, target=3.0, forgets_classes=False)
    assert [o.speaker for o in outside] == ["u"]


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_classes_are_forgotten_where_no_retain_utterance_has_them(forget, retain):
    expected = bool(forget and retain) and all(name not in retain for name in forget)
    assert disjoint(forget, retain) == expected


def test_unseen_utterances_are_relabelled_with_the_forgotten_classes():
    def utterances(part, labels):
        return [
            Utterance(id=f"{part}{i}", audio=Path("x"), speaker="s", seconds=1.0, label=label)
            for i, label in enumerate(labels)
        ]

    given = {
        "forget": utterances("f", ["up", "down", "up"]),
        "retain": [],
        "unseen": utterances("u", ["go"] * 5),
    }
    relabelled = relabelled_unseen(given)
    assert [u.label for u in relabelled] == ["down", "up", "down", "up", "down"]
    assert [u.id for u in relabelled][:2] == ["u0 as down", "u1 as up"]
    assert {u.audio for u in relabelled} == {Path("x")}
    assert UnlearningData(given, classes=True).parts == given | {"unseen": relabelled}
    assert UnlearningData(given, classes=False).parts == given


def test_an_unknown_class_in_a_part_leaves_its_other_utterances_in(corpus, tmp_path, caplog):
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    sizes = tiny_options() | {"feat_extract_norm": "layer", "classifier_proj_size": 8}
    Wav2Vec2Config(**sizes).save_pretrained(tmp_path)
    known, unseen = data.part("retain")[0], data.part("unseen")[0]
    model, processor = model_from_config(str(tmp_path), [known.speaker], 0, "classification")
    save_model(model, processor, tmp_path / "model")
    split = replace(
        data.split, parts=dict.fromkeys(OF_EVERY_SPLIT, ()) | {"test": (known.id, unseen.id)}
    )
    saved = SavedModel.at(tmp_path / "model")
    rows = transcribe(saved, data.manifest, split, device=torch.device("cpu"))
    assert [row["id"] for row in rows] == [known.id]
    assert "no class for 1 of 2 utterances of test" in caplog.text


def test_a_search_takes_the_target_of_a_forgotten_class(corpus, tmp_path):
    """The unseen speakers are no classes of the model, and serve for the target only."""
    data = Corpus.read(corpus / "manifest.jsonl", corpus / "split.json")
    sizes = tiny_options() | {"feat_extract_norm": "layer", "classifier_proj_size": 8}
    Wav2Vec2Config(**sizes).save_pretrained(tmp_path)
    names = vocabulary_of(data.part("forget", "retain"), "classification")
    model, processor = model_from_config(str(tmp_path), names, 0, "classification")
    task = task_for(model.eval(), processor)
    given = {part: data.part(part) for part in ("forget", "retain", "unseen")}
    assert UnlearningData.of(task, given).classes
    known = given["forget"][:2]
    assert with_known_labels(task, [*given["unseen"], *known]) == known
    problem = TuningProblem(task, Inputs(task), given, Stop(rule="steps"), seed=0)
    assert set(problem.scores()) == {"forget", "retain"}
    assert problem.target() == group_score(Inputs(task), relabelled_unseen(given))
    with pytest.raises(ValueError, match="whole classes are forgotten, and a reference model"):
        replace(problem, stop=Stop(reference_model=tmp_path)).target()
    study = tune(problem, "finetune", {"epochs": 1.0}, trials=1, journal=tmp_path / "journal")
    assert ranked(study.trials)

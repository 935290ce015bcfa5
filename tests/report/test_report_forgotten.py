"""Who or what was to be forgotten, and whom it is told from, in every kind of request."""

import json
from collections.abc import Callable
from pathlib import Path

from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.report import tables
from asr_unlearn.report.comparison import compare
from tests.support.made_up_runs import attacked, told_of

MakeRun = Callable[..., Path]
BIAS = "Unlearning ends at the level of these same strangers"


def _of_a_word(path: Path) -> Path:
    attacked(path)
    record = json.loads(path.read_text())
    record["split"] |= {"forget_speakers": [], "forget_labels": ["marvin"]}
    write_results(path, record)
    return path


def _caption(path: Path) -> str:
    table = tables.membership(compare(read_results(path)))
    assert table is not None
    return table.caption


def test_classes_are_not_called_speakers_nor_their_utterances_strangers(make_run: MakeRun) -> None:
    told = told_of(_of_a_word(make_run(task="classification")))
    assert told.opening[0].startswith("1 class of AN4 is to be forgotten")
    text = " ".join([*told.opening, told.explanation, *told.methods["orthograd_tau"][:3]])
    assert "held-out utterances" in text
    assert "one training utterance of a forgotten class" in text
    for word in ("stranger", "these speakers", "forget speakers"):
        assert word not in text


def test_a_speaker_whom_only_classes_know_is_told_from_held_out_utterances(
    make_run: MakeRun,
) -> None:
    path = make_run(task="classification")
    attacked(path)
    record = json.loads(path.read_text())
    for model in record["models"]:
        for block in (model["loss"], model["accuracy"], model["ci95"]["accuracy"]):
            del block["unseen"]
    write_results(path, record)
    told = told_of(path)
    assert told.opening[0].startswith("6 speakers of AN4")
    assert "one training utterance of a forgotten speaker and one that was held out" in (
        told.explanation
    )


def test_a_recogniser_that_forgets_a_word_is_asked_about_strangers(make_run: MakeRun) -> None:
    path = _of_a_word(make_run())
    told = told_of(path)
    assert told.explanation.startswith(
        "Attackers are given one utterance of a forgotten class and one of another class by a "
        "stranger,"
    )
    text = " ".join(told.methods["orthograd_tau"])
    assert "told from strangers' utterances of other classes" in text
    caption = _caption(path)
    assert caption.startswith(
        "Telling training utterances of the forgotten classes from strangers' utterances of other "
        "classes, matched"
    )
    assert BIAS in caption
    assert "held-out" not in text + told.explanation + caption


def test_that_unlearning_aims_at_the_attacked_strangers_is_said(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)
    assert BIAS in _caption(path)


def test_held_out_utterances_are_not_what_unlearning_aims_at(make_run: MakeRun) -> None:
    assert BIAS not in _caption(_of_a_word(make_run(task="classification")))


def test_the_split_is_told_by_what_was_to_be_forgotten(make_run: MakeRun) -> None:
    path = make_run()
    assert "training utterances of the speakers to" in tables.split(read_results(path)).caption
    caption = tables.split(read_results(_of_a_word(path))).caption
    assert "training utterances of the classes to be forgotten" in caption
    assert "speakers" not in caption

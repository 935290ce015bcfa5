"""What was to be forgotten, and the non-members of membership inference, for every request."""

import json
from collections.abc import Callable
from pathlib import Path

from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.reporting import tables
from asr_unlearn.reporting.comparison import compare
from tests.support.made_up_runs import attacked, summary_of

MakeRun = Callable[..., Path]
BIAS = "Unlearning stops at the loss of these same unseen speakers"


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


def test_classes_are_compared_with_their_own_held_out_utterances(make_run: MakeRun) -> None:
    path = _of_a_word(make_run(task="classification"))
    summary = summary_of(path)
    assert summary.sentences[0].startswith("Accuracy on the class to forget: ")
    caption = _caption(path)
    assert caption.startswith(
        "AUC: training utterances of the forgotten classes against held-out utterances of the same "
        "classes, matched"
    )
    for word in ("unseen", "these speakers", "forget speakers"):
        assert word not in str(summary.sentences[0]) + caption


def test_speakers_that_are_classes_are_compared_with_held_out_utterances(
    make_run: MakeRun,
) -> None:
    path = make_run(task="classification")
    attacked(path)
    record = json.loads(path.read_text())
    for model in record["models"]:
        for block in (model["loss"], model["accuracy"], model["ci95"]["accuracy"]):
            del block["unseen"]
    write_results(path, record)
    assert summary_of(path).sentences[0].startswith("Accuracy on the 6 speakers to forget: ")
    assert _caption(path).startswith(
        "AUC: training utterances of the forgotten speakers against held-out utterances of the "
        "same speakers, matched"
    )


def test_a_recogniser_that_forgets_a_word_is_compared_on_unseen_speakers(make_run: MakeRun) -> None:
    path = _of_a_word(make_run())
    caption = _caption(path)
    assert caption.startswith(
        "AUC: training utterances of the forgotten classes against unseen speakers' utterances of "
        "other classes, matched"
    )
    assert BIAS in caption
    assert "held-out" not in caption
    assert not any("held-out" in text for text in summary_of(path).sentences)


def test_a_stop_target_of_the_same_unseen_speakers_is_noted(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)
    assert BIAS in _caption(path)


def test_held_out_utterances_are_no_stop_target(make_run: MakeRun) -> None:
    assert BIAS not in _caption(_of_a_word(make_run(task="classification")))


def test_the_caption_of_the_split_names_speakers_or_classes(make_run: MakeRun) -> None:
    path = make_run()
    assert "training utterances of the speakers to" in tables.split(read_results(path)).caption
    caption = tables.split(read_results(_of_a_word(path))).caption
    assert "training utterances of the classes to be forgotten" in caption
    assert "speakers" not in caption

"""What brings the forgotten back: on what it was trained, how far back, and how soon."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.evaluation.attacks.relearning import TOLERANCE
from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.report import tables
from asr_unlearn.report.comparison import compare
from tests.support.made_up_runs import told_of

MakeRun = Callable[..., Path]
BACK = (
    "it is back at the original's loss on them, to a tenth of the way from there to its loss on "
    "unseen speakers, "
)


def _relearned(steps: dict[str, int]) -> Callable[[dict[str, Any]], None]:
    def change(models: dict[str, Any]) -> None:
        models["retrained 0"]["relearning"] = {"limit": 200, "one_utterance_steps": 40}
        models["orthograd_tau 0"]["relearning"] = steps

    return change


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"limit": 200}, "not within 200 steps (retrained"),
        ({"limit": 200, "one_utterance_steps": 1}, "after 1 step (retrained"),
        ({"limit": 200, "one_utterance_steps": 17}, "after 17 steps (retrained model: after 40"),
    ],
)
def test_relearning_is_said_and_so_is_its_limit(
    make_run: MakeRun, steps: dict[str, int], said: str
) -> None:
    text = " ".join(told_of(make_run(), _relearned(steps)).methods["orthograd_tau"])
    assert f"Fine-tuned on one utterance of each forgotten speaker, {BACK}{said}" in text
    assert TOLERANCE == 0.1  # the tenth


def test_the_table_of_relearning_says_what_was_trained_on(make_run: MakeRun) -> None:
    path = make_run()
    told_of(path, _relearned({"limit": 200}))
    table = tables.relearning(compare(read_results(path)))
    assert table is not None
    assert "on one utterance of each forgotten speaker or on retain data, until" in table.caption
    assert "to a tenth of the way from there to its loss on unseen speakers." in table.caption


def test_without_strangers_the_loss_has_to_be_back(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _relearned({"limit": 200, "one_utterance_steps": 17})(models)
        for model in models.values():
            del model["loss"]["unseen"]

    text = " ".join(told_of(make_run(), change).methods["orthograd_tau"])
    assert "it is back at the original's loss on them, after 17 steps" in text


def test_a_class_is_relearned_from_each_of_its_speakers(make_run: MakeRun) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    record["split"] |= {"forget_speakers": [], "forget_labels": ["marvin"]}
    write_results(path, record)
    text = " ".join(told_of(path, _relearned({"limit": 200})).methods["orthograd_tau"])
    assert "Fine-tuned on one utterance of the forgotten classes by each speaker, it" in text

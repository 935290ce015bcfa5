"""Relearning: on which data, to which loss, in how many steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.evaluation.measures.relearning import TOLERANCE
from asr_unlearn.evaluation.results import write_results
from asr_unlearn.reporting import tables
from asr_unlearn.reporting.tables import Table
from tests.support.made_up_runs import comparison_of

MakeRun = Callable[..., Path]


def _relearned(steps: dict[str, int]) -> Callable[[dict[str, Any]], None]:
    def change(models: dict[str, Any]) -> None:
        models["retrained 0"]["relearning"] = {"limit": 200, "one_utterance_steps": 40}
        models["orthograd_tau 0"]["relearning"] = steps

    return change


def _table(path: Path, change: Callable[[dict[str, Any]], None]) -> Table:
    table = tables.relearning(comparison_of(path, change))
    assert table is not None
    return table


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ({"limit": 200}, "not within 200"),
        ({"limit": 200, "one_utterance_steps": 1}, "1"),
        ({"limit": 200, "one_utterance_steps": 17}, "17"),
    ],
)
def test_steps_of_relearning_and_their_limit_are_shown(
    make_run: MakeRun, steps: dict[str, int], text: str
) -> None:
    table = _table(make_run(), _relearned(steps))
    assert {row.label: row.cells[0].text for row in table.rows} == {
        "retrained": "40", "orthograd_tau": text,
    }  # fmt: skip


def test_the_table_says_what_was_trained_on_and_how_far_back(make_run: MakeRun) -> None:
    caption = _table(make_run(), _relearned({"limit": 200})).caption
    assert "on one utterance of each forgotten speaker or on retain data, until" in caption
    assert "back at the original's, to a tenth of the way from there to its loss on unseen " in (
        caption
    )
    assert TOLERANCE == 0.1  # the tenth


def test_without_unseen_speakers_the_loss_has_to_be_back(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _relearned({"limit": 200, "one_utterance_steps": 17})(models)
        for model in models.values():
            del model["loss"]["unseen"]

    assert "is back at the original's. " in _table(make_run(), change).caption


def test_a_class_is_relearned_from_each_of_its_speakers(make_run: MakeRun) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    record["split"] |= {"forget_speakers": [], "forget_labels": ["marvin"]}
    write_results(path, record)
    caption = _table(path, _relearned({"limit": 200})).caption
    assert "on one utterance of the forgotten classes by each speaker or" in caption

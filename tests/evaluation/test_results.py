"""results.json and run.json of earlier versions are read as if they were written today."""

import copy
import json
from pathlib import Path

import pytest

from asr_unlearn.evaluation.results import (
    SCHEMA,
    ResultsError,
    read_results,
    upgraded,
    write_results,
)
from asr_unlearn.models.run_record import read_run, upgraded_run

V1 = Path(__file__).with_name("results_v1.json")


@pytest.fixture
def v1():
    """Two models of AN4, as the first version of the schema had them."""
    return json.loads(V1.read_text(encoding="utf-8"))


def leaves(value, path=()):
    """Every number and text with its path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, inner in items for k, v in leaves(inner, (*path, key)).items()}
    return {path: value}


def test_a_file_of_schema_1_is_read_with_every_figure(v1):
    results = read_results(V1)
    assert results.record["schema"] == SCHEMA == 2
    retrained, unlearned = results.models
    assert unlearned.figure("wer", "forget") == v1["models"][1]["wer"]["forget"]
    assert unlearned.interval("wer", "forget") == tuple(v1["models"][1]["ci95"]["wer"]["forget"])
    assert retrained.folder == V1.parent / "seed0" / "retrained"
    before, after = leaves(v1), leaves(results.record)
    stop = ("models", 1, "options", "stop", "on")
    reference = before.pop(("models", 1, "options", "outsider"))
    assert after.pop(("models", 1, "options", "reference_model")) == reference
    assert (before.pop(stop), after.pop(stop)) == ("both", "any")
    stopped = ("models", 1, "stopped")
    assert before.pop(stopped).startswith("forget loss 0.352 reached a stranger's 0.351 (95%")
    assert after.pop(stopped).startswith("forget loss 0.352 reached the target 0.351 (95%")
    assert (before.pop(("schema",)), after.pop(("schema",))) == (1, 2)
    assert len(before) > 200
    assert after == before


def test_upgrading_changes_nothing_twice_and_no_argument(v1):
    given = copy.deepcopy(v1)
    once = upgraded(v1)
    assert v1 == given
    assert upgraded(once) == once


def test_an_upgraded_file_is_written_and_an_earlier_schema_is_not(v1, tmp_path):
    path = tmp_path / "results.json"
    write_results(path, upgraded(v1))
    assert json.loads(path.read_text(encoding="utf-8")) == read_results(V1).record
    with pytest.raises(ResultsError, match="schema 1; only 2 is written"):
        write_results(path, v1)


@pytest.mark.parametrize("models", [None, 3, [3], [{}]])
def test_a_damaged_file_of_schema_1_is_refused(v1, models, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({**v1, "models": models}))
    with pytest.raises(ResultsError, match="does not fit schema"):
        read_results(tmp_path / "results.json")


def test_a_run_of_an_earlier_version_has_the_present_names(tmp_path):
    source = {"path": "../outsider", "sha256": {}}
    options = {"stop": {"rule": "unseen", "on": "both", "every": 4}, "outsider": "../outsider"}
    old = {"kind": "unlearn", "seed": 1, "options": options, "outsider": source}
    (tmp_path / "run.json").write_text(json.dumps(old))
    run = read_run(tmp_path)
    assert run["options"]["stop"] == {"rule": "unseen", "on": "any", "every": 4}
    assert run["options"]["reference_model"] == "../outsider"
    assert run["reference_model"] == source
    assert "outsider" not in {*run, *run["options"]}
    assert (run["kind"], run["seed"]) == ("unlearn", 1)
    assert upgraded_run(run) == run
    assert read_run(tmp_path / "nowhere") == {}

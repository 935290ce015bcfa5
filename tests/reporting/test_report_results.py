"""results.json: what fits the schema comes back whole, what does not is refused with a remedy."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_unlearn.evaluation.results import SCHEMA, ResultsError, read_results, write_results

PARTS = ("forget", "forget_heldout", "retain", "unseen", "test")
amounts = st.floats(0, 1e6, allow_nan=False)
by_part = st.dictionaries(st.sampled_from(PARTS), amounts)
models = st.fixed_dictionaries(
    {"name": st.text(min_size=1), "seed": st.integers(0, 9), "path": st.text()},
    optional={
        "wer": by_part,
        "loss": by_part,
        "steps": st.integers(0, 10**6),
        "stopped": st.text(),
        # Hypothesis draws names from our source too, and those of an AUC are limited to 1.
        "membership": st.dictionaries(st.text().map("other {}".format), amounts),
        "cost": st.fixed_dictionaries({}, optional={"seconds": amounts}),
    },
)
records = st.fixed_dictionaries(
    {
        "schema": st.just(SCHEMA),
        "created": st.text(),
        "versions": st.dictionaries(st.text(), st.text()),
        "command": st.text(),
        "corpus": st.text(),
        "split": st.just({"seed": 0, "forget_speakers": ["a"], "parts": {}}),
        "models": st.lists(models, min_size=1, unique_by=lambda m: (m["name"], m["seed"])),
    }
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records)
def test_what_is_written_is_read_back(tmp_path: Path, record: dict[str, Any]) -> None:
    path = tmp_path / "results.json"
    write_results(path, record)
    results = read_results(path)
    assert results.record == record
    assert [(m.name, m.seed, m.folder) for m in results.models] == [
        (m["name"], m["seed"], tmp_path / m["path"]) for m in record["models"]
    ]


def test_a_figure_that_was_not_computed_is_none_not_zero(make_run: Callable[..., Path]) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    del record["models"][0]["wer"]["test"], record["models"][0]["ci95"]
    record["models"][0]["wer"]["forget"] = 0
    write_results(path, record)
    model = read_results(path).models[0]
    assert model.figure("wer", "test") is None
    assert model.figure("membership", "auc") is None
    assert model.interval("wer", "forget") is None
    assert model.figure("wer", "forget") == 0.0


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (0, "run the evaluation again"),
        ("1", "run the evaluation again"),
        (SCHEMA + 1, "update asr_unlearn"),
    ],
)
def test_another_schema_version_is_refused_with_a_remedy(
    make_run: Callable[..., Path], version: object, remedy: str
) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "schema": version, "versions": {"asr_unlearn": "9.8"}}))
    with pytest.raises(ResultsError, match=remedy) as refusal:
        read_results(path)
    assert str(path) in str(refusal.value)
    assert "asr_unlearn 9.8" in str(refusal.value)


def test_a_file_that_is_no_results_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(ResultsError, match="no such file; run the evaluation"):
        read_results(path)
    path.write_text("{half")
    with pytest.raises(ResultsError, match="not JSON"):
        read_results(path)
    contents: list[object] = [{}, [], 3]
    for content in contents:
        path.write_text(json.dumps(content))
        with pytest.raises(ResultsError, match='no "schema" key'):
            read_results(path)


def _drop_corpus(record: dict[str, Any]) -> None:
    del record["corpus"]


def _negative_rate(record: dict[str, Any]) -> None:
    record["models"][1]["wer"]["retain"] = -0.1


def _unknown_part(record: dict[str, Any]) -> None:
    record["models"][0]["wer"]["everybody"] = 0.1


def _null_figure(record: dict[str, Any]) -> None:
    record["models"][0]["loss"]["forget"] = None


def _not_a_number(record: dict[str, Any]) -> None:
    record["models"][0]["loss"]["forget"] = float("nan")


def _same_model_twice(record: dict[str, Any]) -> None:
    record["models"].append(copy.deepcopy(record["models"][0]))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_drop_corpus, "'corpus' is a required property"),
        (_negative_rate, r"models\[1\].wer.retain"),
        (_unknown_part, "everybody"),
        (_null_figure, r"models\[0\].loss.forget"),
        (_not_a_number, r"models\[0\].loss.forget is nan; leave .* out"),
        (_same_model_twice, "'original' with seed 0 appears twice"),
    ],
)
def test_what_breaks_the_schema_is_named_and_not_written(
    make_run: Callable[..., Path], spoil: Callable[[dict[str, Any]], None], named: str
) -> None:
    path = make_run()
    before = path.read_text()
    record = json.loads(before)
    spoil(record)
    with pytest.raises(ResultsError, match=named):
        write_results(path, record)
    assert path.read_text() == before
    path.write_text(json.dumps(record))
    with pytest.raises(ResultsError, match=named):
        read_results(path)

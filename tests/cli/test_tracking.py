"""--track: an experiment tracker gets the rows of metrics.jsonl, the figures and the report."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asr_unlearn.cli.main import main
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.tracking import STEPS, Tracker, check_tracker
from tests.support.evaluated import evaluate_three

TRACKED = ["--track", "tensorboard"]


def logged(out):
    """What TensorBoard would show of an output: figures by name, each with steps, and texts."""
    folder = out.with_name(f"{out.name}.tensorboard")
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    figures = {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }
    texts = [
        str(event.tensor_proto.string_val[0], "utf-8")
        for name in found.Tags()["tensors"]
        if "text_summary" in name
        for event in found.Tensors(name)
    ]
    return figures, texts


@pytest.fixture(scope="module")
def finished(corpus, tiny_config, tmp_path_factory):
    out = tmp_path_factory.mktemp("tracked")
    evaluate_three(corpus, tiny_config, out, TRACKED)
    main(["report", "--results", str(out / "results.json"), "--audio", "false", *TRACKED])
    return out


@pytest.mark.parametrize("name", ["original", "forgotten"])
def test_every_figure_of_every_step_is_tracked(finished, name):
    figures, _ = logged(finished / name)
    lines = (finished / name / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert rows
    for key in {key for row in rows for key in row} - {"step"}:
        expected = [(row["step"], pytest.approx(row[key])) for row in rows if key in row]
        assert figures[key] == expected


def test_nothing_of_the_tracker_is_in_the_published_folder(finished):
    assert not [path for path in finished.rglob("*tfevents*") if "tensorboard" not in str(path)]
    assert not any(isinstance(handler, Tracker) for handler in STEPS.handlers)


def test_the_figures_of_an_evaluation_are_tracked(finished):
    figures, _ = logged(finished / "results.json")
    models = json.loads((finished / "results.json").read_text())["models"]
    assert {model["name"] for model in models} == {"original", "retrained", "forgotten"}
    for model in models:
        for part, loss in model["loss"].items():
            assert figures[f"{model['name']}/loss/{part}"] == [(0, pytest.approx(loss))]


def test_the_report_is_shown(finished):
    _, texts = logged(finished / "results.json")
    assert (finished / "report.md").read_text() in texts


def test_what_cannot_track_is_named_before_work_begins(corpus, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no tracker 'tensorbord'"):
        check_tracker("tensorbord")
    monkeypatch.setattr("asr_unlearn.runtime.tracking.find_spec", lambda name: None)
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    with pytest.raises(InputError, match="--track wandb needs the package wandb: pip install"):
        main(["train", *data, "--model", "x", "--out", str(tmp_path / "x"), "--track", "wandb"])

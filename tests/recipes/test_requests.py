"""Requests that come one after the other: their commands, and what becomes of earlier speakers."""

import json
from pathlib import Path

import pytest

from asr_unlearn.cli.plan import Plan
from asr_unlearn.cli.recipe import read_recipe
from asr_unlearn.cli.requests import all_requests, check_requests
from asr_unlearn.cli.side_by_side import dependencies
from asr_unlearn.evaluation.results import read_results
from tests.recipes.test_recipes import ROOT, run, small, synthetic

METHODS = ["orthograd_tau", "neggrad_plus"]


def plans(out, count, **changes):
    recipe = read_recipe(ROOT / "recipes" / "an4" / "recipe.yaml")
    recipe.choose_methods(METHODS)
    for section, values in changes.items():
        getattr(recipe, section).update(values)
    folders = {0: out, 1: out / "seed1"}
    first = Plan(recipe, "model", Path("data"), out, folders, "cpu", forget=Path("0.txt"))
    return all_requests(first, [Path(f"{number}.txt") for number in range(1, count)])


def test_a_later_request_starts_from_the_models_of_the_one_before(tmp_path):
    chain = plans(tmp_path, 3, evaluate={"shadows": 8, "measures": "relearning,extraction"})
    names = [[step.name for step in plan.commands()] for plan in chain]
    assert "original" in names[0]
    assert not any("original" in name for name in [*names[1], *names[2]])
    commands = {step.name: step for plan in chain for step in plan.commands()}
    split = commands["request3/split"].argv
    assert split[split.index("--after") + 1] == str(tmp_path / "request2" / "split.json")
    assert split[split.index("--forget") + 1] == "2.txt"
    assert "--draw" not in split
    later = commands["request3/seed1/orthograd_tau"]
    start = tmp_path / "request2" / "seed1" / "orthograd_tau"
    assert later.argv[later.argv.index("--model") + 1] == str(start)
    assert start in later.reads
    evaluation = commands["request2/evaluate"].argv
    assert "--shadows" not in evaluation
    assert evaluation[evaluation.index("--measures") + 1] == "extraction"
    models = evaluation[evaluation.index("--models") + 1].split(",")
    assert models == ["retrained", *METHODS, *(f"seed1/{m}" for m in ("retrained", *METHODS))]
    report = commands["request3/report"].argv
    earlier = [tmp_path / "results.json", tmp_path / "request2" / "results.json"]
    assert report[report.index("--earlier") + 1] == ",".join(map(str, earlier))


def test_trainings_of_all_requests_wait_for_what_they_read(tmp_path):
    steps = sorted(
        (step for plan in plans(tmp_path, 2) for step in plan.commands()), key=lambda s: s.stage
    )
    found = {
        steps[number].name: {steps[other].name for other in others}
        for number, others in dependencies(steps).items()
    }
    assert found["request2/retrained"] == {"data", "request2/split"}
    assert found["request2/orthograd_tau"] == {
        "data",
        "request2/split",
        "orthograd_tau",
        "request2/reference_model",
    }
    assert found["request2/report"] == {"evaluate", "request2/evaluate"}


def test_lists_are_checked_before_anything_is_done(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a\nb\n")
    two.write_text("c\nb\n")
    with pytest.raises(ValueError, match=r"two\.txt: speaker b is in .*one\.txt already"):
        check_requests([one, two], "--requests")
    with pytest.raises(ValueError, match=r"--requests .*none\.txt: there is no such file"):
        check_requests([one, tmp_path / "none.txt"], "--requests")
    check_requests([one], "--requests")
    with pytest.raises(ValueError, match="this recipe forgets labels"):
        plans(tmp_path, 2, split={"forget_labels": "up"})


@pytest.mark.slow
def test_two_requests_from_data_to_report(tmp_path):
    out, settings = tmp_path / "out", [*synthetic(tmp_path), *small(METHODS)]
    run("quickstart", out, "--stop-stage", "1", *settings)
    lines = (out / "manifest.jsonl").read_text().splitlines()
    speakers = sorted({json.loads(line)["speaker"] for line in lines})
    files = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for file, name in zip(files, speakers, strict=False):
        file.write_text(f"{name}\n")
    given = ["--requests", ",".join(map(str, files)), "--methods", ",".join(METHODS)]
    run("quickstart", out, *given, *settings)
    split = json.loads((out / "request2" / "split.json").read_text())
    assert split["forget_speakers"] == [speakers[1]]
    found = {m.name: m for m in read_results(out / "request2" / "results.json").models}
    assert set(found) == {"retrained", *METHODS}
    assert all(model.figure("wer", "forgotten") is not None for model in found.values())
    for method in METHODS:
        run_record = json.loads((out / "request2" / method / "run.json").read_text())
        assert run_record["original"]["path"] == f"../../{method}"
    assert "After each request" in (out / "request2" / "report.md").read_text()
    assert 'id="after-each"' in (out / "request2" / "report.html").read_text()
    assert "After each request" not in (out / "report.md").read_text()
    again = run("quickstart", out, *given, *settings)
    assert again.count("is complete, skipped") == len(again.splitlines())

"""The tables of attacks, speakers, records and classes: all figures, and missing ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.evaluation.results import read_results
from asr_unlearn.reporting import tables, write_report
from asr_unlearn.reporting.comparison import compare
from asr_unlearn.reporting.tables import Cell, Table
from tests.support.made_up_runs import attacked, comparison_of, predictions

MakeRun = Callable[..., Path]
FOUR = ("original", "retrained", "orthograd", "orthograd_tau")


def _cell(table: Table | None, row: str, column: str) -> Cell:
    assert table is not None
    cells = next(r.cells for r in table.rows if r.label == row)
    return cells[table.columns.index(column) - 1]


def test_every_attack_has_its_column_and_interval(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)
    found = comparison_of(path)
    table = tables.membership(found)
    for name in ("loss", "classifier", "informed", "LiRA", "RMIA"):
        area = json.loads(path.read_text())["models"][2]["membership"][f"{name.lower()}_auc"]
        cell = _cell(table, "orthograd_tau", f"AUC {name}")
        assert cell.value == area
        assert cell.detail == f"{area - 0.05:.3f} to {area + 0.05:.3f}"
    assert _cell(table, "orthograd_tau", "Informed by").text == "3"
    few = tables.true_positives(found)
    assert few is not None
    assert few.columns == ("Model", "LiRA, 1%", "LiRA, 0.1%")
    assert _cell(few, "retrained", "LiRA, 0.1%").text == "3.00%"


def test_several_seeds_show_the_distance_from_the_retrained_model(make_run: MakeRun) -> None:
    areas = {"retrained": (0.50, 0.54, 0.58), "orthograd": (0.55, 0.57, 0.59),
             "orthograd_tau": (0.60, 0.66, 0.69), "original": (0.8, 0.8, 0.8)}  # fmt: skip

    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            area = areas[name.split()[0]][model["seed"]]
            model["membership"] = {"rmia_auc": area}
            model["verification"] = {"eer": area / 10}

    found = comparison_of(make_run(models=FOUR, seeds=(0, 1, 2)), change)
    for table, column, far in (
        (tables.membership(found), "AUC RMIA", "+0.110"),
        (tables.verification(found), "EER, unseen speakers", "+1.10"),
    ):
        assert _cell(table, "orthograd", column).detail == "no difference"
        assert _cell(table, "orthograd_tau", column).detail == far
        assert _cell(table, "retrained", column).detail == ""


def test_a_limit_that_was_reached_is_no_number_of_steps(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            model["relearning"] = {"limit": 1500, "retain_steps": 100 + 20 * model["seed"]}
            if name.startswith("retrained"):
                model["relearning"]["one_utterance_loss"] = 0.2 + 0.1 * model["seed"]
            if name == "orthograd_tau 0":
                model["relearning"] |= {"one_utterance_steps": 30}
        del models["original 0"]["relearning"], models["original 1"]["relearning"]

    table = tables.relearning(comparison_of(make_run(seeds=(0, 1)), change))
    assert table is not None
    assert [row.label for row in table.rows] == ["retrained", "orthograd_tau"]
    never = _cell(table, "retrained", "On one utterance of each")
    assert (never.text, never.value) == ("not within 1\u202f500", None)
    assert never.detail == "lowest loss 0.250"
    once = _cell(table, "orthograd_tau", "On one utterance of each")
    assert (once.text, once.detail) == ("30", "1 of 2 seeds, the rest not within 1\u202f500")
    assert _cell(table, "orthograd_tau", "On retain data").text == "110 ± 14"
    assert _cell(table, "orthograd_tau", "On retain data").detail == "no difference"


def test_without_figures_there_is_no_table(make_run: MakeRun) -> None:
    found = comparison_of(make_run())
    makers = (tables.membership, tables.true_positives, tables.speaker_membership,
              tables.relearning, tables.quantisation, tables.layers,
              tables.probe, tables.judge, tables.verification, tables.further)  # fmt: skip
    assert [maker(found) for maker in makers] == [None] * len(makers)


def test_all_that_is_shown_elsewhere_is_not_shown_again(make_run: MakeRun) -> None:
    path = make_run(task="classification")
    attacked(path)
    assert tables.further(comparison_of(path)) is None


def test_the_closest_method_is_named_figure_by_figure(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            model["membership"] = {"lira_auc": {"orthograd": 0.7, "retrained": 0.5}.get(
                name.split()[0], 0.6)}  # fmt: skip
            if "gap_to_retrained" in model:
                near = name.startswith("orthograd ") == (model["seed"] >= 0)
                model["gap_to_retrained"]["wer"]["forget"] = 1e-9 if near else 0.5

    found = comparison_of(make_run(models=FOUR, seeds=(0, 1)), change)
    table = tables.closest(found)
    assert _cell(table, "WER forget", "Nearest method").text == "orthograd"
    assert _cell(table, "WER forget", "No difference").text == "orthograd"
    assert _cell(table, "AUC LiRA", "Nearest method").text == "orthograd_tau"
    assert _cell(table, "AUC LiRA", "Its figure").text == "0.600"
    assert _cell(table, "AUC LiRA", "No difference").text == "none"
    assert (
        tables.closest(comparison_of(make_run(folder=found.entries[0].models[0].folder / "x")))
        is None
    )


def test_classes_are_judged_by_accuracy_everywhere(make_run: MakeRun) -> None:
    path = make_run(models=FOUR, seeds=(0, 1), task="classification")
    record = json.loads(path.read_text())
    written, page = write_report(path)
    text, html = written.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
    for page_text in (text, html):
        assert "WER" not in page_text
        assert "CER held-out" not in page_text
        assert "Accuracy forget" in page_text
        assert "Accuracy of each speaker: forget" in page_text
    rates = [m["accuracy"]["forget"] for m in record["models"] if m["name"] == "original"]
    table = tables.rates_and_loss(compare(read_results(path)))
    assert _cell(table, "original", "Accuracy forget").value == pytest.approx(sum(rates) / 2)
    assert html.count('aria-label="Confusion matrix of') == len(FOUR)
    assert "Confusion matrix of original, 2 classes, 85.0% correct" in html


def test_an_unknown_task_is_refused(make_run: MakeRun) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "task": "singing"}))
    with pytest.raises(ValueError, match=r"task: 'singing' is not one of"):
        read_results(path)


def _record(seed: int) -> dict[str, Any]:
    return {
        "schema": 1, "unlearned": "2031-05-04T10:00:00+00:00",
        "command": f"asr-unlearn unlearn --seed {seed}", "method": "orthograd_tau",
        "stopped": "after all steps", "paths": {"manifest": "../manifest.jsonl"},
        "forgotten": {"speakers": 6, "utterances": 60},
        "sha256": {"forget_list": "a" * 64, "manifest": "b" * 64, "split": None,
                   "weights_before": {"model.safetensors": "c" * 64},
                   "weights_after": {"model.safetensors": f"{seed}" * 64}},
    }  # fmt: skip


def test_the_deletion_record_of_each_model_is_shown(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    for seed in (0, 1):
        target = path.parent / f"seed{seed}" / "orthograd_tau" / "deletion_record.json"
        target.write_text(json.dumps(_record(seed)))
    written, page = (p.read_text(encoding="utf-8") for p in write_report(path))
    assert "a" * 64 in written
    assert f"| orthograd\\_tau | 1 | {'c' * 16} | {'1' * 16} |" in written
    assert f"model.safetensors {'1' * 64}" in page
    assert "asr-unlearn unlearn --seed 1" in page
    assert "file was missing when the record was written" in page


def test_without_records_there_is_no_section_for_them(make_run: MakeRun) -> None:
    written, page = (p.read_text(encoding="utf-8") for p in write_report(make_run()))
    assert "Deletion record" not in written
    assert "Deletion record" not in page


def test_the_longer_side_of_the_speakers_goes_down_the_page(make_run: MakeRun) -> None:
    from asr_unlearn.reporting.runs import key, read_run_files

    path = make_run(models=FOUR)
    results = read_results(path)
    runs = {
        key(model): read_run_files(model.folder, predictions(path, model.name))
        for model in results.models
    }
    found = compare(results)
    upright = tables.each_speaker(found, runs, "forget")  # six speakers, four models
    assert upright is not None
    assert upright.columns == ("Speaker", "Utterances", *FOUR)
    many = replace(found, entries=found.entries * 2)
    turned = tables.each_speaker(many, runs, "forget")
    assert turned is not None
    assert turned.columns[:2] == ("Model", "fs00 (10)")
    assert turned.rows[1].cells[0] == upright.rows[0].cells[2]


def test_an_interval_is_explained_where_there_is_one(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)
    found = comparison_of(path)
    table = tables.membership(found)
    assert table is not None
    assert table.caption.endswith("Below a figure: 95% interval over speakers.")
    table = tables.probe(found)
    assert table is not None
    assert "interval" not in table.caption


def test_phases_of_a_run_and_its_passes_relative_to_retraining(make_run: MakeRun) -> None:
    path = make_run(models=FOUR)
    content = json.loads(path.read_text())
    (model,) = (m for m in content["models"] if (m["name"], m["seed"]) == ("orthograd_tau", 0))
    assert tables.phases(comparison_of(path)) is None
    model["cost"] |= {
        "passes": 250,
        "passes_relative_to_retraining": 0.25,
        "phases": {
            "preparation": {"seconds": 2.5, "forward": 100, "backward": 0, "generated": 0},
            "steps": {"seconds": 12.0, "forward": 1_050, "backward": 50, "generated": 7},
        },
    }
    path.write_text(json.dumps(content))
    found = comparison_of(path)
    table = tables.phases(found)
    assert table is not None
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["0", "Preparation", "2.5 s", "100", "0", "0"],
        ["0", "Steps", "12.0 s", "1,050", "50", "7"],
    ]
    cost = tables.distance_and_cost(found)
    assert _cell(cost, "orthograd_tau", "Passes").text == "0.250×"


def test_the_test_of_the_losses_is_explained_where_there_is_one(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["divergence"] |= {"ks_forget_loss": 0.4, "ks_p": 0.002}

    path = make_run()
    without = tables.distance_and_cost(comparison_of(path))
    assert not {"KS", "KS p"} & set(without.columns)
    assert "KS:" not in without.caption
    found = comparison_of(path, change)
    table = tables.distance_and_cost(found)
    assert _cell(table, "orthograd_tau", "KS").text == "0.400"
    assert _cell(table, "orthograd_tau", "KS p").text == "0.002"
    assert "speaker by speaker" in table.caption
    assert tables.further(found) is None


@pytest.mark.parametrize(
    ("retained", "said"),
    [
        (None, "test: speakers that were not trained on."),
        (0, "test: speakers that were not trained on."),
        (6, "test: utterances of the retain speakers that were not trained on."),
        (2, "test: utterances that were not trained on, of 2 retain speakers and of others."),
    ],
)
def test_who_is_tested_is_said(make_run: MakeRun, retained: int | None, said: str) -> None:
    path = make_run()
    record = json.loads(path.read_text())
    record["split"]["parts"]["test"] |= {"speakers": 6}
    if retained is not None:
        record["split"]["parts"]["test"]["retain_speakers"] = retained
    path.write_text(json.dumps(record))
    assert said in tables.split(read_results(path)).caption

"""The summary and the tables below it: misses in both directions, damage, nothing invented."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.reporting import tables
from asr_unlearn.reporting.tables import Cell
from tests.support.made_up_runs import attacked, comparison_of, summary_of

MakeRun = Callable[..., Path]
FOUR = ("original", "retrained", "orthograd", "orthograd_tau")


def _gaps(model: dict[str, Any], **gaps: float) -> None:
    """Set the WER of some parts by their gap to a retrained model of 30% everywhere."""
    for part, gap in gaps.items():
        model["wer"][part] = 0.3 + gap
        model["gap_to_retrained"]["wer"][part] = gap
    model.pop("ci95", None)


def _differences(
    path: Path, change: Callable[[dict[str, Any]], None], model: str = "orthograd_tau"
) -> dict[str, Cell]:
    """Cells of a model in the table of differences, by part."""
    table = tables.differences(comparison_of(path, change))
    assert table is not None
    cells = next(row.cells for row in table.rows if row.label == model)
    names = (name.rpartition(" ")[2] for name in table.columns[1:6])
    return dict(zip(names, cells, strict=False))


@pytest.mark.parametrize(
    ("gap", "text", "wer"),
    [(-0.05, "−5.00", "25.0%"), (0.07, "+7.00", "37.0%"), (0.0, "0.00", "30.0%"),
     (-0.29, "−29.0", "1.00%")],
)  # fmt: skip
def test_a_miss_in_either_direction_is_shown(
    make_run: MakeRun, gap: float, text: str, wer: str
) -> None:
    def change(models: dict[str, Any]) -> None:
        models["retrained 0"]["wer"]["forget"] = 0.3
        models["retrained 0"].pop("ci95", None)
        _gaps(models["original 0"], forget=-0.28)
        _gaps(models["orthograd_tau 0"], forget=gap)

    path = make_run()
    cell = _differences(path, change)["forget"]
    assert (cell.text, cell.detail) == (text, "")
    # So that a method no closer than the original can be seen.
    assert _differences(path, change, "original")["forget"].text == "−28.0"
    sentences, _ = summary_of(path, change)
    assert sentences[0] == (
        f"WER on the 6 speakers to forget: original 2.00%, retrained 30.0%, orthograd_tau {wer}."
    )


def test_damage_is_shown_and_its_absence_too(make_run: MakeRun) -> None:
    def damage(models: dict[str, Any]) -> None:
        models["retrained 0"]["wer"] = dict.fromkeys(models["retrained 0"]["wer"], 0.3)
        del models["retrained 0"]["ci95"]
        _gaps(models["original 0"], retain=-0.2, unseen=-0.2, test=-0.2)
        _gaps(models["orthograd_tau 0"], retain=0.04, unseen=-0.01, test=0.08)

    path = make_run()
    cells = _differences(path, damage)
    assert [cells[part].text for part in ("retain", "unseen", "test")] == [
        "+4.00", "−1.00", "+8.00",
    ]  # fmt: skip
    assert summary_of(path).sentences[1] == (
        "WER on retain / unseen / test: original 10.0% / 10.0% / 10.0%, "
        "retrained 30.0% / 30.0% / 30.0%, orthograd_tau 34.0% / 29.0% / 38.0%."
    )

    def none(models: dict[str, Any]) -> None:
        _gaps(models["orthograd_tau 0"], retain=-0.01, unseen=0.0, test=-0.02)

    cells = _differences(path, none)
    assert [cells[part].text for part in ("retain", "unseen", "test")] == ["−1.00", "0.00", "−2.00"]


def test_what_is_above_within_the_range_is_no_difference(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            model["wer"]["test"] = 0.2 + 0.04 * model["seed"]
            if name.startswith("orthograd_tau"):
                _gaps(model, retain=0.0, unseen=-0.01, test=0.03)

    path = make_run(seeds=(0, 1))
    cell = _differences(path, change)["test"]
    assert (cell.text, cell.detail) == ("+3.00", "no difference")
    assert "orthograd_tau 30.0% / 29.0% / 33.0%" in summary_of(path).sentences[1]

    def more(models: dict[str, Any]) -> None:
        for seed, gap in enumerate((0.5, -0.3)):
            models[f"orthograd_tau {seed}"]["gap_to_retrained"]["wer"]["retain"] = gap

    cells = _differences(path, more)
    # Seeds that miss in opposite directions.
    assert (cells["retain"].text, cells["retain"].detail) == ("+10.0 ± 56.6", "")
    assert (cells["test"].text, cells["test"].detail) == ("+3.00", "no difference")


def test_retraining_that_is_cheaper_is_noted(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["cost"]["relative_to_retraining"] = 1.5

    sentences, notes = summary_of(make_run(), change)
    assert "Retraining is cheaper than orthograd_tau." in notes
    assert "Time relative to retraining: orthograd_tau 150.0%" in sentences[2]


def test_a_warning_of_a_run_is_noted(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["warning"] = "the model is ruined"

    notes = summary_of(make_run(), change).notes
    assert notes[0] == "Warning, orthograd_tau, seed 0: the model is ruined."


def test_overlong_transcripts_are_noted(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["overlong"] = {"forget": {"utterances": 2, "wer": 0.6466}}

    path = make_run()
    assert summary_of(path, change).notes[0] == (
        "orthograd_tau, seed 0: overlong transcripts, mostly of repeated words, add 64.7 points to "
        "the WER on forget (utterances: 2)."
    )
    assert tables.further(comparison_of(path)) is None


def test_without_a_retrained_model_nothing_is_claimed(make_run: MakeRun) -> None:
    path = make_run(models=("original", "orthograd_tau"))
    sentences, notes = summary_of(path)
    assert "There is no retrained model, so forgetting cannot be judged." in notes
    assert not any("retrained" in text for text in sentences)
    assert tables.differences(comparison_of(path)) is None
    assert tables.closest(comparison_of(path)) is None


def test_little_to_forget_is_noted(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _gaps(models["original 0"], forget=-0.004)

    path = make_run()
    assert any("almost nothing to forget" in note for note in summary_of(path, change).notes)

    def more(models: dict[str, Any]) -> None:
        _gaps(models["original 0"], forget=-0.006)

    assert not any("almost nothing to forget" in note for note in summary_of(path, more).notes)


def test_the_closest_method_is_named_for_each_part(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        far = {"forget_heldout": 0.2, "unseen": 0.2, "test": 0.2}
        near = {"forget_heldout": -0.1, "unseen": 0.1, "test": 0.1}
        _gaps(models["orthograd 0"], forget=0.01, retain=0.2, **far)
        _gaps(models["orthograd_tau 0"], forget=-0.02, retain=0.01, **near)
        for name, gap in (("orthograd 0", 0.3), ("orthograd_tau 0", -0.1)):
            models[name]["gap_to_retrained"]["loss"]["forget"] = gap

    nearest = _nearest(make_run(models=FOUR), change)
    assert nearest["WER forget"] == "orthograd"
    for figure in ("WER held-out", "WER retain", "WER unseen", "WER test", "Loss forget"):
        assert nearest[figure] == "orthograd_tau"


def test_methods_that_tie_are_all_named(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, gap in (("orthograd 0", 0.2), ("orthograd_tau 0", 0.1)):
            _gaps(models[name], forget=gap, forget_heldout=gap, retain=0.0, unseen=gap, test=gap)
            models[name]["gap_to_retrained"]["loss"]["forget"] = gap

    nearest = _nearest(make_run(models=FOUR), change)
    assert nearest["WER retain"] == "orthograd and orthograd_tau"
    for figure in ("WER forget", "WER held-out", "WER unseen", "WER test", "Loss forget"):
        assert nearest[figure] == "orthograd_tau"


def test_figures_on_both_sides_of_the_retrained_model_are_all_shown(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, wer, gap in (("orthograd 0", 0.5, 0.25), ("orthograd_tau 0", 0.0, -0.25)):
            _gaps(models[name], retain=gap)
            models[name]["wer"]["retain"] = wer

    table = tables.closest(comparison_of(make_run(models=FOUR), change))
    assert table is not None
    row = next(row for row in table.rows if row.label == "WER retain")
    assert [cell.text for cell in row.cells[2:4]] == ["orthograd and orthograd_tau", "50.0%, 0.00%"]


def _nearest(path: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, str]:
    table = tables.closest(comparison_of(path, change))
    assert table is not None
    assert "Figures are not weighed against each other." in table.caption
    return {row.label: row.cells[2].text for row in table.rows}


def test_the_sentences_name_the_nearest_methods_and_count_the_rest(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for number, name in enumerate(("gradient_ascent", "neggrad_plus", "orthograd")):
            models[f"{name} 0"]["gap_to_retrained"]["avg_d"] = 0.1 + number
        models["orthograd_tau 0"]["gap_to_retrained"]["avg_d"] = 0.5

    methods = ("gradient_ascent", "neggrad_plus", "orthograd", "orthograd_tau")
    first = summary_of(make_run(models=("original", "retrained", *methods)), change).sentences[0]
    named = ["gradient_ascent", "orthograd_tau", "neggrad_plus"]
    assert re.findall(r"[a-z_]+(?= \d)", first)[3:] == named
    assert first.endswith("; 1 more method in the tables.")


def test_a_wer_above_one_is_shown(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["original 0"]["wer"]["forget"] = 0.02
        models["retrained 0"]["wer"]["forget"] = 1.3

    assert "original 2.00%, retrained 130.0%," in summary_of(make_run(), change).sentences[0]


def test_one_seed_is_noted(make_run: MakeRun) -> None:
    assert any("One seed: the variation" in note for note in summary_of(make_run()).notes)


def test_what_was_not_measured_is_not_mentioned(make_run: MakeRun) -> None:
    text = str(summary_of(make_run()))
    for word in ("attack", "AUC", "classifier", "ine-tun"):
        assert word not in text


def test_the_strongest_attack_of_each_model_is_named(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)

    def change(models: dict[str, Any]) -> None:
        for name, areas in (("original", (0.9, 0.95)), ("retrained", (0.55, 0.5)),
                            ("orthograd_tau", (0.6, 0.17))):  # fmt: skip
            loss, rmia = areas
            models[f"{name} 0"]["membership"] = {"loss_auc": loss, "rmia_auc": rmia}

    assert (
        summary_of(path, change)
        .sentences[2]
        .endswith(
            "AUC of the attack that is farthest from its AUC on the retrained model: "
            "original 0.950 for 0.500 (RMIA), orthograd_tau 0.170 for 0.500 (RMIA)."
        )
    )


def test_lower_accuracy_is_worse_where_classes_are_predicted(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        del models["retrained 0"]["ci95"]
        gaps = {"forget": -0.03, "retain": -0.04, "unseen": 0.05, "test": 0.0}
        models["orthograd_tau 0"]["gap_to_retrained"]["accuracy"] = gaps

    path = make_run(task="classification")
    cells = _differences(path, change)
    assert [cells[part].text for part in ("forget", "retain", "unseen", "test")] == [
        "−3.00", "−4.00", "+5.00", "0.00",
    ]  # fmt: skip
    found = comparison_of(path)
    row = found.row("orthograd_tau", "accuracy", "forget")
    assert row is not None
    assert row.gap is not None
    assert found.rate.harm(row.gap.mean) > 0
    summary = summary_of(path)
    assert summary.sentences[0].startswith("Accuracy on the 6 speakers to forget: original ")
    assert "WER" not in str(summary)

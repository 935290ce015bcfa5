"""Membership inference: verdicts only where the figures support them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.reporting import tables, write_report
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.tables import Cell
from tests.support.made_up_runs import comparison_of, summary_of

MakeRun = Callable[..., Path]


def _difference(found: Comparison, attack: str, model: str = "orthograd_tau") -> Cell:
    table = tables.differences(found)
    assert table is not None
    cells = next(row.cells for row in table.rows if row.label == model)
    return cells[table.columns.index(f"AUC {attack}") - 1]


def _attacked(auc: float) -> Callable[[dict[str, Any]], None]:
    """The informed attack on one method; the retrained model's own AUC is 0.55."""

    def change(models: dict[str, Any]) -> None:
        for name, area in (("retrained 0", 0.55), ("orthograd_tau 0", auc)):
            models[name]["membership"] = {"informed_auc": area, "informed_models": 4}

    return change


@pytest.mark.parametrize(
    ("auc", "difference"), [(0.56, "+0.010"), (0.71, "+0.160"), (0.3, "−0.250")]
)
def test_the_informed_attack_is_compared_with_the_retrained_model(
    make_run: MakeRun, auc: float, difference: str
) -> None:
    path = make_run()
    found = comparison_of(path, _attacked(auc))
    cell = _difference(found, "informed")
    # One retrained model tells nothing of how far AUCs of retrained models are apart.
    assert (cell.text, cell.detail) == (difference, "")
    table = tables.membership(found)
    assert table is not None
    assert table.columns == ("Model", "AUC informed", "Informed by")
    assert [cell.text for cell in table.rows[2].cells] == [f"{auc:.3f}", "4"]
    assert "0.5 is chance; 0.2 distinguishes them as well as 0.8" in table.caption
    assert "Informed: " in table.caption
    assert "Loss: " not in table.caption
    assert summary_of(path).sentences[2].endswith(f"orthograd_tau {auc:.3f} for 0.550 (informed).")


def test_the_attack_farthest_from_the_retrained_model_is_named(make_run: MakeRun) -> None:
    """Not the one farthest from 0.5, where the retrained model may be as well."""

    def change(models: dict[str, Any]) -> None:
        _attacked(0.7)(models)
        for name, area in (("retrained 0", 0.9), ("orthograd_tau 0", 0.85)):
            models[name]["membership"]["lira_auc"] = area

    path = make_run()
    found = comparison_of(path, change)
    assert _difference(found, "LiRA").text == "−0.050"
    assert "orthograd_tau 0.700 for 0.550 (informed)" in summary_of(path).sentences[2]


def test_an_attack_without_the_retrained_model_has_no_verdict(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["membership"] = {"informed_auc": 0.71, "informed_models": 4}

    path = make_run()
    found = comparison_of(path, change)
    row = found.row("orthograd_tau", "membership", "informed_auc")
    assert row is not None
    assert (row.gap, row.target, row.verdict) == (None, None, "")
    table = tables.differences(found)
    assert table is not None
    assert not any(column.startswith("AUC") for column in table.columns)
    assert "AUC" not in "".join(summary_of(path).sentences)


def _by_loss(*seeds: tuple[float, float, float]) -> Callable[[dict[str, Any]], None]:
    """AUC of the loss of original, retrained and unlearned model, a seed each."""

    def change(models: dict[str, Any]) -> None:
        for seed, areas in enumerate(seeds):
            for name, area in zip(("original", "retrained", "orthograd_tau"), areas, strict=True):
                models[f"{name} {seed}"]["membership"] = {"loss_auc": area}

    return change


@pytest.mark.parametrize(
    ("areas", "difference"),
    [
        ((0.6, 0.52, 0.52), "0.000"),
        ((0.6, 0.52, 0.525), "+0.0050"),
        ((0.6, 0.52, 0.54), "+0.020"),
        ((0.6, 0.4, 0.47), "+0.070"),
        ((0.6, 0.4, 0.5), "+0.100"),
        ((0.95, 0.52, 0.17), "−0.350"),
        ((0.8, 0.6, 0.5), "−0.100"),
        ((0.8, 0.6, 0.55), "−0.050"),
    ],
)
def test_an_auc_and_its_difference_are_shown_as_they_are(
    make_run: MakeRun, areas: tuple[float, float, float], difference: str
) -> None:
    found = comparison_of(make_run(), _by_loss(areas))
    # A retrained model without an interval supports no verdict.
    cell = _difference(found, "loss")
    assert (cell.text, cell.detail) == (difference, "")
    table = tables.membership(found)
    assert table is not None
    assert [row.cells[0].value for row in table.rows] == list(areas)


def test_seeds_that_differ_in_both_directions_are_a_difference(make_run: MakeRun) -> None:
    seeds = (0.8, 0.5, 0.3), (0.8, 0.52, 0.72)
    found = comparison_of(make_run(seeds=(0, 1)), _by_loss(*seeds))
    row = found.row("orthograd_tau", "membership", "loss_auc")
    assert row is not None
    assert row.verdict == "differs"
    assert _difference(found, "loss").text == "0.000 ± 0.283"


@pytest.mark.parametrize(("area", "noted"), [(0.55, False), (0.68, True), (0.3, True)])
def test_groups_of_other_lengths_are_noted(make_run: MakeRun, area: float, noted: bool) -> None:
    def change(models: dict[str, Any]) -> None:
        for model in models.values():
            model["membership"] = {"loss_auc": 0.6, "length_auc": area}

    notes = summary_of(make_run(), change).notes
    assert any(f"which alone has an AUC of {area:.3f}" in note for note in notes) == noted


def test_attacks_on_speakers_have_their_table(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, (auc, p) in (("retrained 0", (0.5, 0.55)), ("orthograd_tau 0", (0.9, 0.004))):
            models[name]["speaker_membership"] = {
                "loss_auc": auc, "loss_p": p, "members": 6, "others": 8,
            }  # fmt: skip

    path = make_run()
    table = tables.speaker_membership(comparison_of(path, change))
    assert table is not None
    assert table.columns == ("Model", "AUC loss", "p loss", "Forgotten", "Unseen")
    rows = {row.label: [cell.text for cell in row.cells] for row in table.rows}
    assert rows["orthograd_tau"] == ["0.900", "0.004", "6", "8"]
    assert rows["original"] == ["—"] * 4
    assert "three against three never less than 0.05" in table.caption
    assert "### Membership of speakers" in write_report(path)[0].read_text(encoding="utf-8")

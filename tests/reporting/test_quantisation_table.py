"""Rounded weights: a row for each model and precision, beside the retrained model's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.metrics.rounding import GROUP
from asr_unlearn.reporting import tables, write_report
from tests.support.made_up_runs import attacked, comparison_of

MakeRun = Callable[..., Path]


def test_losses_and_what_comes_back_by_precision(make_run: MakeRun) -> None:
    path = make_run()
    attacked(path)
    found = comparison_of(path)
    table = tables.quantisation(found)
    assert table is not None
    assert table.columns == ("Model", "Weights", "Forget loss", "Unseen loss", "Brought back")
    rows = [row for row in table.rows if row.label == "orthograd_tau"]
    assert [row.cells[0].text for row in rows] == ["as saved", "bf16", "int8", "int4"]
    loss = found.value("orthograd_tau", "loss", "forget")
    assert loss is not None
    assert [row.cells[1].value for row in rows] == pytest.approx(
        [loss.mean, loss.mean, 0.99 * loss.mean, 0.7 * loss.mean]
    )
    assert [row.cells[3].text for row in rows] == ["—", "—", "−3.00%", "62.0%"]
    assert rows[3].cells[3].detail == "−10.0% to 80.0%"
    assert {row.label for row in table.rows} == {"original", "retrained", "orthograd_tau"}
    assert [row.cells[3].text for row in table.rows if row.label == "original"] == ["—"] * 4
    assert "not the arithmetic of an int8 kernel" in table.caption
    assert f"every {GROUP} inputs" in table.caption
    assert "62.0%" in write_report(path)[0].read_text(encoding="utf-8")


def test_several_seeds_show_the_distance_from_the_retrained_model(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            share = 0.5 if name.startswith("orthograd_tau") else 0.1 * model["seed"]
            model["quantisation"] = {
                "rounded_parameters": 10, "int4_forget_loss": 1.0, "int4_brought_back": share,
            }  # fmt: skip

    table = tables.quantisation(comparison_of(make_run(seeds=(0, 1)), change))
    assert table is not None
    (row,) = (r for r in table.rows if (r.label, r.cells[0].text) == ("orthograd_tau", "int4"))
    assert (row.cells[3].text, row.cells[3].detail) == ("50.0%", "+45.0")
    (row,) = (r for r in table.rows if (r.label, r.cells[0].text) == ("retrained", "int4"))
    assert row.cells[3].text == "5.00 ± 7.07%"

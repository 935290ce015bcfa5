"""CKA: a layer a row and a model a column, the part test below."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_unlearn.reporting import tables, write_report
from tests.support.made_up_runs import comparison_of

MakeRun = Callable[..., Path]


def _alike(models: dict[str, Any]) -> None:
    for name, model in models.items():
        lower = 0.0 if name.startswith("retrained") else 0.1 * (1 + model["seed"])
        model["cka"] = {
            "forget": {str(layer): 1 - lower for layer in range(1, 12)}, "test": {"1": 1.0}
        }  # fmt: skip


def test_a_row_for_each_layer_in_their_order(make_run: MakeRun) -> None:
    path = make_run()
    table = tables.layers(comparison_of(path, _alike))
    assert table is not None
    assert table.columns == ("Layer", "original", "orthograd_tau")
    assert [row.label for row in table.rows] == [f"Layer {n}" for n in range(1, 12)]
    assert [(c.text, c.detail) for c in table.rows[0].cells] == [("0.900", "test 1.000")] * 2
    assert table.rows[1].cells[0].detail == ""
    assert "another way than the retrained model" in table.caption
    pages = [page.read_text(encoding="utf-8") for page in write_report(path)]
    assert "| Layer 1 | 0.900 (test 1.000) | 0.900 (test 1.000) |" in pages[0]
    assert "Layers of the encoder" in pages[1]


def test_means_over_seeds_say_how_many_have_the_figure(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _alike(models)
        del models["original 1"]["cka"]

    table = tables.layers(comparison_of(make_run(seeds=(0, 1)), change))
    assert table is not None
    original, unlearned = table.rows[0].cells
    assert (original.text, original.detail) == ("0.900", "1 of 2 seeds; test 1.000")
    assert unlearned.text == "0.850 ± 0.071"

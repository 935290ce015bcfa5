"""Several seeds: misses that cancel out, and models that do not have all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_up_runs import told_of

from asr_unlearn.report import read_results, tables
from asr_unlearn.report.comparison import compare

MakeRun = Callable[..., Path]
FOUR = ("original", "retrained", "orthograd", "orthograd_tau")


def _set(model: dict[str, Any], wer: float, gap: float) -> None:
    """WER and loss of the forget speakers, and how far they are from the retrained model's."""
    for metric in ("wer", "loss"):
        model[metric]["forget"] = wer
        if "gap_to_retrained" in model:
            model["gap_to_retrained"][metric]["forget"] = gap


def test_misses_in_opposite_directions_are_no_hit(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, wers in {
            "original": (0.02, 0.02),
            "retrained": (0.3, 0.3),
            "orthograd": (0.0, 0.6),
            "orthograd_tau": (0.4, 0.4),
        }.items():
            for seed, wer in enumerate(wers):
                _set(models[f"{name} {seed}"], wer, wer - 0.3)

    path = make_run(models=FOUR, seeds=(0, 1))
    said = told_of(path, change).methods["orthograd"][0]
    assert said.startswith(
        "WER on the forget speakers is 30.0%, as in the retrained model on average, but single "
        "seeds miss by 30.0 points one way or the other. Its loss on them is 0.300, 0.000"
    )
    assert "on average, but single seeds miss by 0.300 one way or the other." in said
    table = tables.closest(compare(read_results(path)))
    assert table is not None
    nearest = {row.label: row.cells[2].text for row in table.rows}
    assert nearest["WER forget"] == nearest["Loss forget"] == "orthograd_tau"

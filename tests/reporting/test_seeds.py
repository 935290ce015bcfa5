"""Several seeds: misses that cancel out, and models that do not have all of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.reporting import tables
from asr_unlearn.reporting.comparison import compare
from asr_unlearn.reporting.readme import headline_block
from asr_unlearn.reporting.render_terminal import table as terminal_table
from tests.support.made_up_runs import attacked, comparison_of, summary_of

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
    found = comparison_of(path, change)
    table = tables.differences(found)
    assert table is not None
    cells = next(row.cells for row in table.rows if row.label == "orthograd")
    wer, loss = (cells[table.columns.index(name) - 1] for name in ("WER forget", "Loss forget"))
    assert (wer.text, wer.detail) == ("0.0 ± 42.4", "")
    assert (loss.text, loss.detail) == ("0.000 ± 0.424", "")
    table = tables.closest(found)
    assert table is not None
    nearest = {row.label: row.cells[2].text for row in table.rows}
    assert nearest["WER forget"] == nearest["Loss forget"] == "orthograd_tau"


def _without(path: Path, *missing: str) -> None:
    """Leave models out, and with a retrained one the gaps to it."""
    record = json.loads(path.read_text())
    kept = [m for m in record["models"] if f"{m['name']} {m['seed']}" not in missing]
    golds = {m["seed"] for m in kept if m["name"] == "retrained"}
    for model in kept:
        if model["seed"] not in golds:
            model.pop("gap_to_retrained", None)
    write_results(path, {**record, "models": kept})


def test_a_gap_stands_beside_the_figures_of_its_own_seeds(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["retrained 0"].pop("ci95")
        _set(models["retrained 0"], 0.4, 0)
        for name, model in models.items():
            if name.startswith("original"):
                _set(model, 0.02, -0.38)
        for seed, wer in enumerate((0.5, 0.1, 0.12)):
            model = models[f"orthograd_tau {seed}"]
            _set(model, wer, 0.1)
            model["membership"] = {"loss_auc": wer + 0.1}
            model["relearning"] = {"limit": 200, "one_utterance_steps": 10 + 30 * seed}
            model["speaker_id"] = {"judge_forget": wer}
        models["retrained 0"]["membership"] = {"loss_auc": 0.55}
        models["retrained 0"]["relearning"] = {"limit": 200, "one_utterance_steps": 40}
        models["retrained 0"]["speaker_id"] = {"judge_forget": 0.3}

    path = make_run(seeds=(0, 1, 2))
    _without(path, "retrained 1", "retrained 2")
    found = comparison_of(path, change)

    def beside(*keys: str) -> tuple[float, float | None]:
        """The method's and the retrained model's figure over the seeds that both have."""
        row = found.row("orthograd_tau", *keys)
        assert row is not None
        assert row.gap is not None
        assert found.fewer_seeds(row.gap) == "1 of 3 seeds"
        return row.shared.mean, row.target.mean if row.target else None

    assert beside("wer", "forget") == (0.5, 0.4)
    assert beside("loss", "forget") == (0.5, 0.4)
    assert beside("membership", "loss_auc") == (0.6, 0.55)
    assert beside("relearning", "one_utterance_steps") == (10, 40)
    assert beside("speaker_id", "judge_forget") == (0.5, 0.3)
    table = tables.differences(found)
    assert table is not None
    cell = table.rows[1].cells[0]
    assert (cell.text, cell.detail) == ("+10.0", "1 of 3 seeds")
    sentences, notes = summary_of(path)
    assert "retrained 40.0% (1 of 3 seeds)" in sentences[0]
    assert (
        "Means over 3 seeds, over fewer for retrained (1); differences are over the seeds that a "
        "model shares with the retrained one."
    ) in notes


def test_the_only_difference_has_an_interval_for_its_own_seed(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "retrained 1")

    def change(models: dict[str, Any]) -> None:
        _set(models["orthograd_tau 0"], 0.35, 0.05)
        _set(models["orthograd_tau 1"], 0.9, 0.6)
        models["orthograd_tau 0"]["gap_ci95"] = {"wer": {"forget": [-0.1, 0.2]}}

    found = comparison_of(path, change)
    row = found.row("orthograd_tau", "wer", "forget")
    assert row is not None
    assert row.gap is not None
    assert row.gap.values == (0.05,)
    assert row.verdict == ""
    own = found.row("orthograd_tau", "wer", "forget", seed=0)
    assert own is not None
    assert (own.gap_interval, own.verdict) == ((-0.1, 0.2), "difference may be 0")


def test_models_with_fewer_seeds_say_so(make_run: MakeRun) -> None:
    path = make_run(models=FOUR, seeds=(0, 1, 2))
    _without(path, "orthograd 1", "orthograd 2")
    attacked(path)
    ranked = "Methods are ranked over different seeds: orthograd over 1 of 3."
    sentences, notes = summary_of(path)
    assert any("over fewer for orthograd (1)" in note for note in notes)
    assert re.search(r"orthograd [\d.]+% \(1 of 3 seeds\)", sentences[0])

    results = read_results(path)
    found = compare(results)
    nearest, rates, gaps = (
        make(found) for make in (tables.closest, tables.rates_and_loss, tables.differences)
    )
    assert nearest is not None
    assert rates is not None
    assert gaps is not None
    assert ranked in nearest.caption
    for row in nearest.rows:
        assert (row.cells[3].detail == "1 of 3 seeds") == (
            row.cells[2].text.split()[0] == "orthograd"
        )
        assert row.cells[1].detail == row.cells[3].detail
    remark = "Mean ± standard deviation over 3 seeds, or over fewer where a figure says so."
    assert rates.caption.startswith(remark)
    assert remark in headline_block(results)
    lines = headline_block(results).splitlines()
    assert [line for line in lines if "1 of 3 seeds" in line] == [
        line for line in lines if line.startswith("| orthograd |")
    ]
    for shown in (rates, gaps):
        for row in shown.rows:
            details = {cell.detail for cell in row.cells if cell.value is not None}
            assert all("1 of 3 seeds" in d for d in details) == (row.label == "orthograd")
    names = [str(name) for name in terminal_table(results).columns[0].cells]
    assert [name for name in names if "seeds" in name] == ["orthograd\n1 of 3 seeds"]


def test_one_seed_each_is_no_mean(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "original 1", "retrained 1", "orthograd_tau 0")
    notes = summary_of(path).notes
    assert any("Each model has one seed, not all the same" in note for note in notes)
    assert not any("Means over" in note for note in notes)
    assert "No retrained model of the same seed: orthograd_tau." in notes


def test_without_a_common_seed_there_is_no_difference_to_show(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "original 0", "retrained 1")
    row = comparison_of(path).row("original", "wer", "forget")
    assert row is not None
    assert row.gap is None

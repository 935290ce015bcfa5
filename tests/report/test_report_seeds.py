"""Several seeds: misses that cancel out, and models that do not have all of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.report import tables
from asr_unlearn.report.comparison import compare
from asr_unlearn.report.headline import headline_block
from asr_unlearn.report.terminal import table as terminal_table
from tests.support.made_up_runs import attacked, told_of

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
    told = told_of(path, change)
    said = told.methods["orthograd_tau"]
    assert (
        "is 50.0% (1 of 3 seeds), 10.0 points above the retrained model: it recognises them worse "
        "than a model that never heard them."
    ) in said[0]
    assert "Its loss on them is 0.500 (1 of 3 seeds), 0.100 above the retrained" in said[0]
    assert "60 times of 100 by the loss alone (retrained model: 55, 1 of 3 seeds)" in said[1]
    assert "after 10 steps (retrained model: after 40 steps, 1 of 3 seeds)." in said[2]
    assert "names 50.0% of their utterances (retrained: 30.0%, 1 of 3 seeds)." in said[2]
    assert "the retrained model 40.0% (1 of 3 seeds)" in told.opening[1]
    assert (
        "Figures are means over 3 seeds, but of retrained (1) over fewer. A model is compared with "
        "the retrained one over the seeds that both have."
    ) in told.opening[1]


def test_the_only_retrained_model_has_an_interval_for_its_own_seed(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "retrained 1")

    def change(models: dict[str, Any]) -> None:
        _set(models["orthograd_tau 0"], 0.35, 0.05)
        _set(models["orthograd_tau 1"], 0.9, 0.6)
        models["retrained 0"]["wer"]["forget"] = 0.3
        models["retrained 0"]["ci95"] = {"wer": {"forget": [0.25, 0.4]}}

    said = told_of(path, change).methods["orthograd_tau"][0]
    assert "5.00 points above the retrained model, but inside that model's 95% interval" in said


def test_models_with_fewer_seeds_say_so(make_run: MakeRun) -> None:
    path = make_run(models=FOUR, seeds=(0, 1, 2))
    _without(path, "orthograd 1", "orthograd 2")
    attacked(path)
    told = told_of(path)
    ranked = "Methods are ranked over different seeds: orthograd over 1 of 3."
    assert ranked in told.answers[0].sentences
    assert "of orthograd (1) over fewer" in told.opening[1]
    assert "(orthograd, 1 of 3 seeds)" in told.answers[1].sentences[1]

    results = read_results(path)
    found = compare(results)
    nearest, errors, gaps = tables.closest(found), tables.errors(found), tables.gaps(found)
    assert nearest is not None
    assert errors is not None
    assert gaps is not None
    assert ranked in nearest.caption
    for row in nearest.rows:
        assert (row.cells[3].detail == "1 of 3 seeds") == (
            row.cells[2].text.split()[0] == "orthograd"
        )
        assert row.cells[1].detail == row.cells[3].detail
    said = "Mean ± standard deviation over 3 seeds, or as many as are said."
    assert errors.caption.startswith(said)
    assert said in headline_block(results)
    lines = headline_block(results).splitlines()
    assert [line for line in lines if "1 of 3 seeds" in line] == [
        line for line in lines if line.startswith("| orthograd |")
    ]
    for shown in (errors, gaps):
        for row in shown.rows:
            details = {cell.detail for cell in row.cells if cell.value is not None}
            assert all("1 of 3 seeds" in d for d in details) == (row.label == "orthograd")
    names = [str(name) for name in terminal_table(results).columns[0].cells]
    assert [name for name in names if "seeds" in name] == ["orthograd\n1 of 3 seeds"]


def test_one_seed_each_is_no_mean(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "original 1", "retrained 1", "orthograd_tau 0")
    told = told_of(path)
    assert "Each model has one seed, but not all have the same" in told.opening[1]
    assert "means over" not in told.opening[1]
    assert told.methods["orthograd_tau"][0] == "No gap to a retrained model was computed."


def test_without_a_common_seed_no_way_is_told(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1))
    _without(path, "original 0", "retrained 1")
    assert not told_of(path).opening[1].startswith("The original")

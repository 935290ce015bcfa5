"""The tidy table: gaps, verdicts, and rows for each seed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.reporting.comparison import Spread, no_difference
from tests.support.made_up_runs import comparison_of

MakeRun = Callable[..., Path]


def test_no_difference_needs_two_retrained_seeds(make_run: MakeRun, tmp_path: Path) -> None:
    one = comparison_of(make_run(folder=tmp_path / "one")).value("retrained", "wer", "forget")
    assert not no_difference(Spread((0.0,)), one)
    assert not no_difference(Spread((0.0,)), None)
    own = comparison_of(make_run(folder=tmp_path / "three", seeds=(0, 1, 2))).value(
        "retrained", "wer", "forget"
    )
    assert own is not None
    assert no_difference(Spread((0.99 * own.range,)), own)
    assert no_difference(Spread((-0.99 * own.range,)), own)
    assert not no_difference(Spread((1.01 * own.range,)), own)
    assert not no_difference(Spread((-2 * own.range, 2 * own.range)), own)
    same = Spread(own.values[:1] * 2)
    assert no_difference(Spread((0.1 + 0.2 - 0.3,)), same)  # 6e-17
    assert not no_difference(Spread((1e-6,)), same)


def test_a_gap_that_is_not_stated_is_taken_seed_by_seed(make_run: MakeRun) -> None:
    areas = {"retrained": (0.5, 0.6, 0.7), "orthograd_tau": (0.6, 0.6, None)}

    def change(models: dict[str, Any]) -> None:
        for model in models.values():
            area = areas.get(model["name"], (0.9,) * 3)[model["seed"]]
            model["membership"] = {} if area is None else {"loss_auc": area}

    found = comparison_of(make_run(seeds=(0, 1, 2)), change)
    row = found.row("orthograd_tau", "membership", "loss_auc")
    assert row is not None
    assert row.gap is not None
    assert row.gap.values == pytest.approx((0.1, 0.0))
    assert row.verdict == "no difference"
    assert row.target is not None
    assert row.target.values == (0.5, 0.6)
    assert found.row("orthograd_tau", "membership", "lira_auc") is None


def test_each_figure_has_a_row_for_all_seeds_and_one_for_each(make_run: MakeRun) -> None:
    found = comparison_of(make_run(seeds=(0, 1)))
    for entry in found.entries:
        whole = found.row(entry.name, "wer", "test")
        assert whole is not None
        single = [found.row(entry.name, "wer", "test", seed=seed) for seed in (0, 1)]
        assert whole.value.values == tuple(row.value.mean for row in single if row)
        assert all(row.interval for row in single if row)
        assert whole.interval is None
        assert (whole.gap is None) == (entry.name == "retrained")
    keys = [(row.model, row.seed, row.keys) for row in found.rows]
    assert len(keys) == len(set(keys))


def test_a_verdict_of_one_seed_is_by_the_interval_of_the_difference(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        # The intervals of the two models overlap in either case.
        models["orthograd_tau 0"]["gap_ci95"] = {
            "wer": {"forget": [-0.02, 0.03], "test": [0.01, 0.03]}
        }

    found = comparison_of(make_run(), change)
    verdicts = {
        part: row.verdict
        for part in ("forget", "test", "retain")
        if (row := found.row("orthograd_tau", "wer", part))
    }
    assert verdicts == {"forget": "difference may be 0", "test": "differs", "retain": ""}


def test_a_distance_from_the_retrained_model_has_no_range_to_compare_with(
    make_run: MakeRun,
) -> None:
    """That of a retrained model from itself is 0 for each seed."""

    def change(models: dict[str, Any]) -> None:
        for model in models.values():
            far = 0.0 if model["name"] == "retrained" else 0.03
            model["divergence"] = {"kl_forget": far}

    row = comparison_of(make_run(seeds=(0, 1)), change).row(
        "orthograd_tau", "divergence", "kl_forget"
    )
    assert row is not None
    assert row.verdict == ""

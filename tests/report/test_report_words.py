"""Numbers as words: formats, spreads over seeds, and an honest summary."""

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.evaluation.results import read_results, write_results
from asr_unlearn.report import wording
from asr_unlearn.report.alignment import align
from asr_unlearn.report.comparison import Comparison, Entry, Spread, compare
from asr_unlearn.report.words import summary
from tests.support.made_up_runs import told_of

MakeRun = Callable[..., Path]
sentences = st.lists(st.sampled_from(["a", "b", "ç", "|", "<i>"]), max_size=8).map(" ".join)


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (wording.percent, 0.0213, "2.13%"),
        (wording.percent, 0.2891, "28.9%"),
        (wording.percent, 0.09999, "10.0%"),
        (wording.points, 0.034, "+3.40"),
        (wording.points, -0.1234, "−12.3"),
        (wording.points, -0.00001, "0.00"),
        (wording.number, 0.58, "0.580"),
        (wording.number, 0.00042, "0.00042"),
        (wording.number, 0.0, "0.000"),
        (wording.difference, -0.03, "−0.030"),
        (wording.times, 0.19, "0.190×"),
        (wording.count, 1_080_000, "1\u202f080\u202f000"),
        (wording.megabytes, 700 * 2**20, "700 MiB"),
        (wording.duration, 81.44, "81.4 s"),
        (wording.duration, 754, "12 min 34 s"),
        (wording.duration, 7500, "2 h 5 min"),
    ],
)
def test_formats(form: Callable[[float], str], value: float, text: str) -> None:
    assert form(value) == text


@given(st.floats(-1e3, 1e3))
def test_a_written_number_is_the_number_rounded(value: float) -> None:
    written = wording.difference(value).replace("−", "-").replace("\u202f", "")
    assert math.isclose(float(written), value, rel_tol=0.05, abs_tol=1e-8)


def test_several_seeds_are_mean_and_sample_deviation() -> None:
    values = (0.30, 0.33, 0.27)
    spread = Spread(values)
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.deviation == pytest.approx(statistics.stdev(values))
    assert wording.percent.spread(spread) == "30.0 ± 3.0%"
    assert wording.percent.spread(Spread((0.3,))) == "30.0%"
    assert wording.percent.spread(None) == "—"


@given(sentences, sentences)
def test_alignment_keeps_both_sides_and_counts_what_jiwer_counts(said: str, heard: str) -> None:
    words = align(said, heard)
    assert [word.reference for word in words if word.reference] == said.split()
    assert [word.hypothesis for word in words if word.hypothesis] == heard.split()
    counted = jiwer.process_words([said], [heard])
    kinds = [word.kind for word in words]
    assert kinds.count("substitute") == counted.substitutions
    assert kinds.count("delete") == counted.deletions
    assert kinds.count("insert") == counted.insertions


def _gaps(model: dict[str, Any], **gaps: float) -> None:
    """Set the WER of some parts by their gap to a retrained model of 30% everywhere."""
    for part, gap in gaps.items():
        model["wer"][part] = 0.3 + gap
        model["gap_to_retrained"]["wer"][part] = gap
    model.pop("ci95", None)


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (-0.05, "5.00 points below the retrained model: it recognises them better"),
        (0.07, "7.00 points above the retrained model: it recognises them worse"),
        (0.0, "as in the retrained model"),
        (-0.29, "no closer than the original was"),
    ],
)
def test_a_miss_in_either_direction_is_said(make_run: MakeRun, gap: float, said: str) -> None:
    def change(models: dict[str, Any]) -> None:
        models["retrained 0"]["wer"]["forget"] = 0.3
        del models["retrained 0"]["ci95"]
        models["original 0"]["wer"]["forget"] = 0.02
        _gaps(models["orthograd_tau 0"], forget=gap)

    assert said in told_of(make_run(), change).methods["orthograd_tau"][0]


def test_damage_is_said_worst_first_and_its_absence_too(make_run: MakeRun) -> None:
    def damage(models: dict[str, Any]) -> None:
        del models["retrained 0"]["ci95"]
        _gaps(models["orthograd_tau 0"], retain=0.04, unseen=-0.01, test=0.08)

    path = make_run()
    said = told_of(path, damage).methods["orthograd_tau"][0]
    assert "+8.00 points on test and +4.00 points on retain" in said
    assert "unseen" not in said

    def none(models: dict[str, Any]) -> None:
        _gaps(models["orthograd_tau 0"], retain=-0.01, unseen=0.0, test=-0.02)

    assert "No damage to others" in told_of(path, none).methods["orthograd_tau"][0]


def test_what_is_above_within_the_range_is_named(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, model in models.items():
            model["wer"]["test"] = 0.2 + 0.04 * model["seed"]
            if name.startswith("orthograd_tau"):
                _gaps(model, retain=0.0, unseen=-0.01, test=0.03)

    path = make_run(seeds=(0, 1))
    said = told_of(path, change).methods["orthograd_tau"][0]
    assert said.endswith(
        "No damage to others beyond the range of the retrained models, in WER against the "
        "retrained model: +3.00 points on test (no difference)."
    )

    def more(models: dict[str, Any]) -> None:
        for seed, gap in enumerate((0.5, -0.3)):
            models[f"orthograd_tau {seed}"]["gap_to_retrained"]["wer"]["retain"] = gap

    said = told_of(path, more).methods["orthograd_tau"][0]
    assert said.endswith(
        "Damage to others, in WER against the retrained model: +10.0 points on retain (single "
        "seeds miss by 40.0 points one way or the other) and +3.00 points on test (no difference)."
    )


def test_retraining_that_is_cheaper_is_said(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["cost"]["relative_to_retraining"] = 1.5

    assert "retraining is cheaper" in told_of(make_run(), change).methods["orthograd_tau"][-1]


def test_without_a_retrained_model_nothing_is_claimed(make_run: MakeRun) -> None:
    told = told_of(make_run(models=("original", "orthograd_tau")))
    assert any("cannot be said" in text for text in told.opening)
    assert "retrained model:" not in told.methods["orthograd_tau"][0]


def test_the_closest_method_is_named_for_each_part(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        far = {"forget_heldout": 0.2, "unseen": 0.2, "test": 0.2}
        near = {"forget_heldout": -0.1, "unseen": 0.1, "test": 0.1}
        _gaps(models["orthograd 0"], forget=0.01, retain=0.2, **far)
        _gaps(models["orthograd_tau 0"], forget=-0.02, retain=0.01, **near)
        for name, gap in (("orthograd 0", 0.3), ("orthograd_tau 0", -0.1)):
            models[name]["gap_to_retrained"]["loss"]["forget"] = gap

    told = told_of(make_run(models=("original", "retrained", "orthograd", "orthograd_tau")), change)
    assert told.answers[0].question == "Which method is closest to the retrained model?"
    assert told.answers[0].sentences == [
        "Closest to the retrained model: orthograd in WER on forget; orthograd_tau in WER on "
        "held-out, retain, unseen and test and in loss on forget. No method is closest in "
        "everything."
    ]


def test_a_method_that_another_ties_with_is_closest_in_everything(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        for name, gap in (("orthograd 0", 0.2), ("orthograd_tau 0", 0.1)):
            _gaps(models[name], forget=gap, forget_heldout=gap, retain=0.0, unseen=gap, test=gap)
            models[name]["gap_to_retrained"]["loss"]["forget"] = gap

    path = make_run(models=("original", "retrained", "orthograd", "orthograd_tau"))
    assert told_of(path, change).answers[0].sentences == [
        "Closest to the retrained model: orthograd_tau in WER on forget, held-out, retain, unseen "
        "and test and in loss on forget; orthograd in WER on retain."
    ]


def test_a_wer_above_one_is_no_share_of_words(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        models["original 0"]["wer"]["forget"] = 0.02
        models["retrained 0"]["wer"]["forget"] = 1.3

    opening = told_of(make_run(), change).opening[1]
    assert "model has a WER of 2.00% on them, the retrained model 130.0%: this is" in opening


def test_no_difference_needs_two_retrained_seeds(make_run: MakeRun, tmp_path: Path) -> None:
    one = compare(read_results(make_run(folder=tmp_path / "one")))
    assert not one.no_difference(Spread((0.0,)), "wer", "forget")
    three = compare(read_results(make_run(folder=tmp_path / "three", seeds=(0, 1, 2))))
    assert three.retrained is not None
    own = three.retrained.spread("wer", "forget")
    assert own is not None
    assert three.no_difference(Spread((0.99 * own.range,)), "wer", "forget")
    assert three.no_difference(Spread((-0.99 * own.range,)), "wer", "forget")
    assert not three.no_difference(Spread((1.01 * own.range,)), "wer", "forget")
    assert not three.no_difference(Spread((-2 * own.range, 2 * own.range)), "wer", "forget")
    same = Comparison(
        three.rate, three.forgotten, tuple(Entry(e.name, e.models[:1] * 2) for e in three.entries)
    )
    assert same.no_difference(Spread((0.1 + 0.2 - 0.3,)), "wer", "forget")  # 6e-17
    assert not same.no_difference(Spread((1e-6,)), "wer", "forget")
    told = summary(read_results(tmp_path / "one/results.json"))
    assert any("one seed" in text for text in told.opening)


def test_a_gap_that_is_not_stated_is_taken_seed_by_seed(make_run: MakeRun) -> None:
    path = make_run(seeds=(0, 1, 2))
    record = json.loads(path.read_text())
    areas = {"retrained": (0.5, 0.6, 0.7), "orthograd_tau": (0.6, 0.6, None)}
    for model in record["models"]:
        area = areas.get(model["name"], (0.9,) * 3)[model["seed"]]
        model["membership"] = {} if area is None else {"loss_auc": area}
    write_results(path, record)
    found = compare(read_results(path))
    method = found.named("orthograd_tau")
    assert method is not None
    gap = found.gap(method, "membership", "loss_auc")
    assert gap is not None
    assert gap.values == pytest.approx((0.1, 0.0))
    assert found.no_difference(gap, "membership", "loss_auc")
    assert found.gap(method, "membership", "lira_auc") is None


def test_what_was_not_measured_is_not_spoken_of(make_run: MakeRun) -> None:
    told = told_of(make_run())
    text = " ".join([*told.methods["orthograd_tau"], *(a.question for a in told.answers)])
    for word in ("attacker", "stranger", "classifier", "Fine-tuned"):
        assert word not in text


def test_lower_accuracy_is_worse_where_classes_aretold_of(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        del models["retrained 0"]["ci95"]
        gaps = {"forget": -0.03, "retain": -0.04, "unseen": 0.05, "test": 0.0}
        models["orthograd_tau 0"]["gap_to_retrained"]["accuracy"] = gaps

    told = told_of(make_run(task="classification"), change)
    said = told.methods["orthograd_tau"][0]
    assert "3.00 points below the retrained model: it recognises them worse" in said
    assert "in accuracy against the retrained model: −4.00 points on retain." in said
    assert "of their utterances right" in told.opening[1]
    assert "WER" not in str(told)

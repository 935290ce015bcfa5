"""What is said of attacks: verdicts only where the figures bear them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.made_up_runs import told_of

MakeRun = Callable[..., Path]


def _attacked(auc: float, interval: tuple[float, float]) -> Callable[[dict[str, Any]], None]:
    """The informed attack on one method; the retrained model's own AUC is 0.55."""

    def change(models: dict[str, Any]) -> None:
        for name, area in (("retrained 0", 0.55), ("orthograd_tau 0", auc)):
            models[name]["membership"] = {"informed_auc": area, "informed_models": 4}
        models["retrained 0"]["ci95"]["membership"] = {"informed_auc": list(interval)}

    return change


@pytest.mark.parametrize(
    ("auc", "interval", "said"),
    [
        (
            0.56,
            (0.5, 0.6),
            "The model now treats these speakers like strangers: told apart 56 times of 100",
        ),
        (0.71, (0.5, 0.6), "They are still told from strangers 71 times of 100"),
        (
            0.3,
            (0.5, 0.6),
            "which gives them away as well: told apart 70 times of 100",
        ),
    ],
)
def test_what_an_informed_attacker_sees_is_said(
    make_run: MakeRun, auc: float, interval: tuple[float, float], said: str
) -> None:
    told = told_of(make_run(), _attacked(auc, interval))
    text = " ".join(told.methods["orthograd_tau"])
    assert said in text
    note = "the other way round, " if auc < 0.5 else ""
    by = "who has 4 models that forgot others in the same way"
    assert f"{by} ({note}retrained model: 55)" in text
    assert "by the loss alone" not in text
    assert "What does an informed attacker still see?" in [a.question for a in told.answers]


def test_one_attack_that_is_fooled_is_no_all_clear(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _attacked(0.56, (0.5, 0.6))(models)
        for name, area in (("retrained 0", 0.55), ("orthograd_tau 0", 0.8)):
            models[name]["membership"]["lira_auc"] = area

    text = told_of(make_run(), change).methods["orthograd_tau"][1]
    assert text == (
        "As some attacks see it, it treats these speakers like strangers: told apart 56 times of "
        "100 by an informed attacker, who has 4 models that forgot others in the same way "
        "(retrained model: 55). They are still told from strangers 80 times of 100 by LiRA with "
        "some shadow models (retrained model: 55)."
    )


def test_an_attack_without_the_retrained_model_is_told_without_a_verdict(
    make_run: MakeRun,
) -> None:
    def change(models: dict[str, Any]) -> None:
        models["orthograd_tau 0"]["membership"] = {"informed_auc": 0.71, "informed_models": 4}

    told = told_of(make_run(), change)
    assert told.methods["orthograd_tau"][1] == (
        "They are told from strangers 71 times of 100 by an informed attacker, who has 4 models "
        "that forgot others in the same way."
    )
    question, sentences = told.answers[1]
    assert question == "What does an informed attacker still see?"
    assert sentences[1] == "Informed attack: 71 (orthograd_tau) after."


def _by_loss(*seeds: tuple[float, float, float]) -> Callable[[dict[str, Any]], None]:
    """AUC of the loss of original, retrained and unlearned model, a seed each."""

    def change(models: dict[str, Any]) -> None:
        for seed, areas in enumerate(seeds):
            for name, area in zip(("original", "retrained", "orthograd_tau"), areas, strict=True):
                models[f"{name} {seed}"]["membership"] = {"loss_auc": area}

    return change


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([(0.6, 0.52, 0.52)], "The model now treats these speakers like strangers: told apart 52"),
        ([(0.6, 0.52, 0.525)], "The model now treats these speakers like strangers: told apart 52"),
        ([(0.6, 0.52, 0.54)], "They are still told from strangers 54 times of 100"),
        (
            [(0.6, 0.4, 0.47)],
            "Beyond strangers, but less so than with the retrained model: told apart 53 times of "
            "100 by the loss alone (the other way round, retrained model: 60 the other way round).",
        ),
        (
            [(0.6, 0.4, 0.5)],
            "More often than with the retrained model, but no more often than by guessing: told "
            "from strangers 50 times of 100",
        ),
        (
            [(0.95, 0.52, 0.17)],
            "Beyond strangers, which gives them away as well: told apart 83 times of 100 by the "
            "loss alone (the other way round, retrained model: 52).",
        ),
        ([(0.8, 0.6, 0.5)], "Less often than with the retrained model: told from strangers 50"),
        ([(0.8, 0.6, 0.55)], "Less often than with the retrained model: told from strangers 55"),
        (
            [(0.8, 0.5, 0.3), (0.8, 0.52, 0.72)],
            "As often as with the retrained model on average, but not with every seed: told from "
            "strangers 51 times of 100 by the loss alone (retrained model: 51).",
        ),
    ],
)
def test_a_verdict_on_an_attack_is_what_its_figures_say(
    make_run: MakeRun, seeds: list[tuple[float, float, float]], said: str
) -> None:
    told = told_of(make_run(seeds=range(len(seeds))), _by_loss(*seeds))
    assert told.methods["orthograd_tau"][1].startswith(said)


def test_an_attack_that_finds_the_original_like_retrained_cannot_tell(make_run: MakeRun) -> None:
    def change(models: dict[str, Any]) -> None:
        _by_loss((0.58, 0.51, 0.58))(models)
        models["retrained 0"]["ci95"]["membership"] = {"loss_auc": [0.33, 0.65]}

    told = told_of(make_run(), change)
    assert told.methods["orthograd_tau"][1] == (
        "An attack to which the original is like the retrained model too cannot tell on this "
        "corpus: told apart 58 times of 100 by the loss alone (retrained model: 51)."
    )
    assert told.answers[1].sentences[1] == (
        "Loss attack: 58 before, 51 retrained, 58 (orthograd_tau) after. Inside its 95% interval: "
        "orthograd_tau. So is the original: this attack cannot tell on this corpus."
    )


def test_a_retrained_model_without_an_interval_has_nothing_inside_it(make_run: MakeRun) -> None:
    told = told_of(make_run(), _by_loss((0.6, 0.4, 0.47)))
    assert told.answers[1].sentences[1] == (
        "Loss attack: 60 before, 60 retrained (the other way round), 53 (orthograd_tau, the other "
        "way round) after."
    )

"""What is said of attacks: verdicts only where the figures bear them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_runs import told_of

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
            "which gives them away as well: told apart 30 times",
        ),
    ],
)
def test_what_an_informed_attacker_sees_is_said(
    make_run: MakeRun, auc: float, interval: tuple[float, float], said: str
) -> None:
    told = told_of(make_run(), _attacked(auc, interval))
    text = " ".join(told.methods["orthograd_tau"])
    assert said in text
    assert "who has 4 models that forgot others in the same way (retrained model: 55)" in text
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

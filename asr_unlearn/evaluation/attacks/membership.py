"""Every membership attack that was asked for, on every model of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import disjoint, label_of
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.informed import Unlearning, unlearnings
from asr_unlearn.evaluation.attacks.observations import compared, target_loss
from asr_unlearn.evaluation.attacks.processes import run_jobs
from asr_unlearn.evaluation.attacks.shadows import Shadow, Shadows, shadows_of
from asr_unlearn.evaluation.compared_models import place
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.mia import (
    Attack,
    Known,
    classifier_attack,
    informed_attack,
    loss_attack,
    matched,
)
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.runtime.errors import InputError

RATES = {"tpr_at_1_percent": "tpr_at_1_percent_fpr", "tpr_at_0_1_percent": "tpr_at_0_1_percent_fpr"}


@dataclass(frozen=True)
class Attackers:
    """What attackers train: models of their own, by name and seed of the one under attack, and
    shadow models for all."""

    own: Mapping[Key, Sequence[Unlearning]]
    trained_alike: Sequence[Shadow]

    @classmethod
    def of(
        cls,
        models: Sequence[SavedModel],
        corpus: Corpus,
        root: Path,
        budget: AttackBudget,
        *,
        device: torch.device,
        beams: int = 1,
    ) -> "Attackers":
        """Those that `budget` asks for, in `root`/informed and `root`/shadows.

        Nothing is trained yet, so that what cannot be is refused before anything was worked for.

        Raises:
            ValueError: attacks that go by the original, and there is none, or not one that says
                how it was trained; or classes that are forgotten, whoever speaks.
        """
        budget.check([model.name for model in models])
        if (budget.informed or budget.shadows) and _without_unseen_speakers(models, corpus):
            raise InputError(
                "--informed and --shadows compare forgotten speakers with strangers; this request "
                "is to forget labels or whole classes, which have none"
            )
        own = {
            model.key: unlearnings(
                model,
                corpus,
                root / "informed" / place(model.folder, root),
                count=budget.informed,
                device=device,
                beams=beams,
            )
            for model in models
        }
        if not budget.shadows:
            return cls(own, [])
        original = next(model for model in models if model.name == "original")
        folder = root / "shadows"
        return cls(own, shadows_of(original, corpus, folder, count=budget.shadows, device=device))

    def train(self, root: Path, workers: int) -> None:
        """What stands for the same inputs is taken as it is, what was interrupted goes on."""
        jobs = [job for each in self.own.values() for job in each]
        run_jobs(jobs, workers, root / "informed.log", "informed attackers")
        run_jobs(self.trained_alike, workers, root / "shadows.log", "shadow models")

    @cached_property
    def shadows(self) -> Shadows | None:
        """What the shadow models say, once they are trained."""
        return Shadows.read(self.trained_alike) if self.trained_alike else None


def _without_unseen_speakers(models: Sequence[SavedModel], corpus: Corpus) -> bool:
    classes = ({label_of(u) for u in corpus.part(part)} for part in ("forget", "retain"))
    classifiers = any(model.kind() == "classification" for model in models)
    return bool(corpus.split.forget_labels) or (classifiers and disjoint(*classes))


def membership(
    model: SavedModel, rows: Sequence[Row], attackers: Attackers
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """How well each attack tells the forget speakers' training utterances from strangers'.

    The figures, and their 95% intervals; nothing where a group has no utterances.
    """
    target = target_loss(model)
    groups = compared(rows, target)
    if not all(groups):
        return {}, {}
    inside, outside = matched(*groups)
    found: dict[str, Attack | None] = {
        "loss": loss_attack(inside, outside),
        "classifier": classifier_attack(inside, outside),
    }
    figures: dict[str, Any] = {"pairs": len(inside)}
    if own := attackers.own.get(model.key):
        known: list[Known] = [job.known() for job in own]
        found["informed"] = informed_attack(known, inside, outside)
        figures["informed_models"] = len(known)
    if attackers.shadows is not None:
        found |= attackers.shadows.attacks(rows, inside, outside)
        figures["shadow_models"] = len(attackers.shadows.losses)
    intervals = {}
    for name, attack in found.items():
        if attack is None:
            continue
        figures[f"{name}_auc"] = attack.auc
        for key, title in RATES.items():
            if (rate := getattr(attack, key)) is not None:
                figures[f"{name}_{title}"] = rate
        if attack.interval:
            intervals[f"{name}_auc"] = list(attack.interval)
    return figures, intervals

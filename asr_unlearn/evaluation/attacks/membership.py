"""Membership inference attacks on the models of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.attacks.budget import AttackBudget
from asr_unlearn.evaluation.attacks.informed import Unlearning, unlearning_of, unlearnings
from asr_unlearn.evaluation.attacks.observations import compared, target_loss
from asr_unlearn.evaluation.attacks.shadows import Shadow, Shadows, shadows_of
from asr_unlearn.evaluation.attacks.unlearned_shadows import (
    UnlearnedShadow,
    UnlearnedShadows,
    unlearned_shadows,
)
from asr_unlearn.evaluation.compared_models import forgets_classes, relative_folder
from asr_unlearn.evaluation.jobs import run_jobs
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.metrics.mia import (
    Attack,
    KnownUnlearning,
    classifier_attack,
    informed_attack,
    length_auc,
    loss_attack,
    matched,
    neighbours_attack,
)
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.runner import Runner

RATES = ("tpr_at_1_percent_fpr", "tpr_at_0_1_percent_fpr")


@dataclass(frozen=True)
class Attackers:
    """The models that attacks train, and what they attack.

    Attributes:
        unlearnings: models of the informed attack, by name and seed of the attacked model.
        shadow_models: shadow models, for all attacked models.
        unlearned_shadow_models: what U-LiRA unlearns from these, by name and seed of the attacked
            model.
        forgets_classes: whether whole classes are forgotten; see `compared`.
        forgets_speakers: whether speakers are forgotten, and not labels or whole classes.
    """

    unlearnings: Mapping[Key, Sequence[Unlearning]]
    shadow_models: Sequence[Shadow]
    unlearned_shadow_models: Mapping[Key, Sequence[UnlearnedShadow]]
    forgets_classes: bool
    forgets_speakers: bool

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
        """Return the attackers' models, still untrained, in folders under `root`: informed,
        shadows, and unlearned_shadows.

        Raises:
            InputError: an attack needs the original, and there is none, or it has no run.json that
                says how it was trained; or whole classes or labels are forgotten.
        """
        budget.check([model.name for model in models])
        classes = forgets_classes(models, corpus)
        speakers = not (classes or corpus.split.forget_labels)
        if (budget.informed or budget.shadows) and not speakers:
            raise InputError(
                "--informed and --shadows compare forgotten speakers with unseen ones, but this "
                "request is to forget labels or whole classes; evaluate without them"
            )
        shadows: Sequence[Shadow] = ()
        if budget.shadows:
            original = next(model for model in models if model.name == ORIGINAL)
            folder = root / "shadows"
            shadows = shadows_of(original, corpus, folder, count=budget.shadows, device=device)
        own: dict[Key, Sequence[Unlearning]] = {}
        unlearned: dict[Key, Sequence[UnlearnedShadow]] = {}
        for model in models if budget.unlearns else ():
            files = budget.method_files
            given = unlearning_of(model, corpus, device=device, beams=beams, method_files=files)
            if given is None:
                continue
            folder = relative_folder(model.folder, root)
            own[model.key] = unlearnings(given, root / "informed" / folder, budget.informed)
            if budget.unlearn_shadows:
                theirs = root / "unlearned_shadows" / folder
                unlearned[model.key] = unlearned_shadows(given, shadows, theirs)
        return cls(own, shadows, unlearned, classes, speakers)

    def train(self, root: Path, runner: Runner) -> None:
        """Train the models that are not current in the cache; interrupted trainings go on."""
        jobs = [job for each in self.unlearnings.values() for job in each]
        run_jobs(jobs, runner, root / "informed.log", "informed attacks")
        run_jobs(self.shadow_models, runner, root / "shadows.log", "shadow models")
        after = [job for each in self.unlearned_shadow_models.values() for job in each]
        run_jobs(after, runner, root / "unlearned_shadows.log", "unlearned shadow models")

    @cached_property
    def shadows(self) -> Shadows | None:
        """Losses of the shadow models, once they are trained; None without shadow models."""
        return Shadows.read(self.shadow_models) if self.shadow_models else None

    @cached_property
    def unlearned_shadows(self) -> Mapping[Key, UnlearnedShadows]:
        """Losses of the shadow models after unlearning too, by name and seed of the attacked."""
        if self.shadows is None:
            return {}
        read, trained = UnlearnedShadows.read, self.shadows
        return {key: read(trained, own) for key, own in self.unlearned_shadow_models.items()}


class Membership(NamedTuple):
    """Figures of the membership inference attacks on a model.

    Attributes:
        figures: on utterances.
        intervals: their 95% intervals.
        speakers: AUC and p of the same attacks on speakers, and how many were compared.
        unlearned_shadows: what shadow models that were unlearned as the model tell beside U-LiRA.
    """

    figures: dict[str, Any]
    intervals: dict[str, list[float]]
    speakers: dict[str, float]
    unlearned_shadows: dict[str, float]


def membership(
    model: SavedModel,
    rows: Sequence[Row],
    attackers: Attackers,
    nearby: Mapping[str, Sequence[float]] | None = None,
    retrained: Sequence[Row] | None = None,
) -> Membership:
    """Return the figures of each membership inference attack on a model.

    All are empty where a group has no utterances; those on speakers also where a speaker is in both
    groups, and where labels or whole classes are to be forgotten, not speakers.

    Args:
        nearby: losses of each utterance's neighbours, by id, for the attack by these.
        retrained: rows of the retrained model, which the model's own shadow models attack too.
    """
    target = target_loss(model)
    groups = compared(rows, target, forgets_classes=attackers.forgets_classes)
    if not all(groups):
        return Membership({}, {}, {}, {})
    inside, outside = matched(*groups)
    found: dict[str, Attack | None] = {
        "loss": loss_attack(inside, outside),
        "classifier": classifier_attack(inside, outside),
    }
    if nearby is not None:
        found["neighbours"] = neighbours_attack(inside, outside, nearby)
    figures: dict[str, Any] = {"pairs": len(inside), "length_auc": length_auc(inside, outside)}
    if own := attackers.unlearnings.get(model.key):
        known: list[KnownUnlearning] = [job.known() for job in own]
        found["informed"] = informed_attack(known, inside, outside)
        figures["informed_models"] = len(known)
    if attackers.shadows is not None:
        found |= attackers.shadows.attacks(rows, inside, outside)
        figures["shadow_models"] = len(attackers.shadows.losses)
    own_shadows: dict[str, float] = {}
    if unlearned := attackers.unlearned_shadows.get(model.key):
        found["ulira"] = unlearned.attack(rows, inside, outside)
        own_shadows = unlearned.figures(rows, retrained, inside, outside)
    intervals: dict[str, list[float]] = {}
    speakers: dict[str, float] = {}
    for name, attack in found.items():
        if attack is None:
            continue
        figures[f"{name}_auc"] = attack.auc
        for key in RATES:
            if (rate := getattr(attack, key)) is not None:
                figures[f"{name}_{key}"] = rate
        if attack.interval:
            intervals[f"{name}_auc"] = list(attack.interval)
        if attack.speakers and attackers.forgets_speakers:
            speakers |= {f"{name}_auc": attack.speakers.auc, f"{name}_p": attack.speakers.p}
    if speakers:
        counts = (len({o.speaker for o in group}) for group in (inside, outside))
        speakers |= zip(("members", "others"), counts, strict=True)
    return Membership(figures, intervals, speakers, own_shadows)

"""U-LiRA: shadow models from which speakers were unlearned as from the attacked model.

Each shadow model of `attacks.shadows` was trained on half of the forget and unseen speakers; these
are unlearned from it with the attacked model's method, options and stop rule. So every speaker is
unlearned from half of the models, and the other half was trained without it. The attack is the
likelihood ratio between the two (Hayes et al., arXiv 2403.01218; per utterance as in RULI, arXiv
2506.13009). The same models tell how far unlearning is from retraining over many models.

It starts from the shadow models of one original, and serves the unlearned models of all seeds. If
the stop rule has a reference model that was trained, each gets one of its own, as in `informed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from asr_unlearn.evaluation.attacks.informed import Unlearning
from asr_unlearn.evaluation.attacks.shadows import Shadow, Shadows
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.ensemble import forgetting_quality, identical, klom
from asr_unlearn.metrics.mia import Attack, Observation, likelihood_ratios, logit_scaled
from asr_unlearn.metrics.mia.lira import moments

# Fewer, of which half have unlearned an utterance, say nothing of a distribution.
MODELS_FOR_DISTANCES = 8
# The share of utterances that are memorised most.
MEMORISED = 0.1


@dataclass(frozen=True, kw_only=True)
class UnlearnedShadow(Unlearning):
    """A shadow model that its own members were unlearned from."""

    @property
    def description(self) -> str:
        return f"{self.out.parent.name}, unlearned shadow {self.out.name}"


def unlearned_shadows(
    unlearning: Unlearning, shadows: Sequence[Shadow], folder: Path
) -> list[UnlearnedShadow]:
    """Return what unlearns each shadow model's members as `unlearning` does others.

    Args:
        unlearning: the attacked model's own.
        folder: of their models, `folder`/0, `folder`/1 and so on.
    """
    return [
        UnlearnedShadow(
            **{
                **vars(unlearning),
                "corpus": shadow.corpus,
                "original": shadow.out,
                "out": folder / str(shadow.number),
            }
        )
        for shadow in shadows
    ]


@dataclass(frozen=True)
class UnlearnedShadows:
    """Losses of S shadow models before and after unlearning, on the same X utterances."""

    trained: Shadows
    unlearned: Shadows

    @classmethod
    def read(cls, trained: Shadows, models: Sequence[UnlearnedShadow]) -> "UnlearnedShadows":
        """Collect the rows of unlearned shadow models."""
        return cls(trained, Shadows.read(models))

    def attack(
        self, rows: Sequence[Row], inside: Sequence[Observation], outside: Sequence[Observation]
    ) -> Attack:
        """Return the attack on the model with these rows."""
        unlearned = self.unlearned
        ratios = likelihood_ratios(unlearned.losses_of(rows), unlearned.losses, unlearned.member)
        return unlearned.attack(ratios, inside, outside)

    def figures(
        self,
        rows: Sequence[Row],
        retrained: Sequence[Row] | None,
        inside: Sequence[Observation],
        outside: Sequence[Observation],
    ) -> dict[str, float]:
        """Return how many models there are, and what they tell beside the attack.

        Args:
            rows: of the attacked model.
            retrained: of the retrained model, which the same shadow models attack too.

        Returns:
            "models"; "memorised_auc", the attack on the `memorised_utterances` of either group that
            are memorised most; "retrained_auc" and "memorised_retrained_auc"; and with eight models
            or more "klom" and "forgetting_quality" of the forget utterances, and both "by_chance",
            of models that do not differ (see `metrics.ensemble`).
        """
        models = len(self.unlearned.losses)
        most = self._memorised_most(inside), self._memorised_most(outside)
        found = {
            "models": models,
            "memorised_utterances": len(most[0]),
            "memorised_auc": self.attack(rows, *most).auc,
        }
        if retrained is not None:
            found["retrained_auc"] = self.attack(retrained, inside, outside).auc
            found["memorised_retrained_auc"] = self.attack(retrained, *most).auc
        return found | (self._distances(rows) if models >= MODELS_FOR_DISTANCES else {})

    def _memorised_most(self, group: Sequence[Observation]) -> list[Observation]:
        """The tenth of a group that shadow models trained on them know best.

        Chosen alike from members and others: memorised ones look forgotten to the attack, whoever
        was never trained on them, where others do not.
        """
        memorised = dict(zip(self.trained.ids, self.memorised.tolist(), strict=True))
        ranked = sorted(group, key=lambda one: -memorised[one.id])
        return ranked[: max(1, round(MEMORISED * len(group)))]

    @cached_property
    def memorised(self) -> Float[np.ndarray, " x"]:
        """How much higher the logit-scaled loss is by shadow models that were trained on each."""
        phi, member = logit_scaled(self.trained.losses), self.trained.member
        (with_it, _), (without, _) = moments(phi, member), moments(phi, ~member)
        found: Float[np.ndarray, " x"] = with_it - without
        return found

    def _distances(self, rows: Sequence[Row]) -> dict[str, float]:
        """KLoM and forgetting quality over the forget utterances of these rows."""
        forget = {row["id"] for row in rows if row["part"] == "forget"}
        chosen = np.array([name in forget for name in self.unlearned.ids])
        phi, theirs = (logit_scaled(s.losses[:, chosen]) for s in (self.unlearned, self.trained))
        pair = (phi, self.unlearned.member[:, chosen], theirs, ~self.trained.member[:, chosen])
        chance = identical(pair[1], pair[3])
        return {
            "klom": float(klom(*pair).mean()),
            "klom_by_chance": chance[0],
            "forgetting_quality": forgetting_quality(*pair),
            "forgetting_quality_by_chance": chance[1],
        }

"""Shadow models for LiRA and RMIA: trained as the original was, with and without each speaker.

Each is trained on the retain speakers and on half of the forget and unseen speakers together, which
is about as much data as the original had. Pairs of shadow models have opposite halves, so every
speaker is in exactly half of the models. Membership is by speaker, not by utterance, as deletion
requests are.

The attacks ask whether the loss of an unlearned model is more like that of models trained on an
utterance, or of models not trained on it. The shadow models serve for all methods; those of
`attacks.unlearned_shadows` are unlearned by each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import OF_EVERY_SPLIT, Split
from asr_unlearn.evaluation.attacks.attack_model import AttackModel
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.mia import (
    Attack,
    Observation,
    attack_by_scores,
    likelihood_ratios,
    relative_ratios,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.finetune import train_alike

# Unlike any seed that users give their models.
FIRST_SEED = 1000
TARGETS = ("forget", "unseen")


def shadow_corpus(corpus: Corpus, number: int) -> Corpus:
    """Return the corpus split for one shadow model.

    It is trained on the parts "retain" and "forget", not on "unseen".
    """
    split = corpus.split
    targets = corpus.part(*TARGETS)
    names = sorted({u.speaker for u in targets})
    order = np.random.default_rng([split.seed, 3, number // 2]).permutation(names)
    chosen = set(order[number % 2 :: 2].tolist())
    parts: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(OF_EVERY_SPLIT, ()),
        "retain": tuple(split.parts["retain"]),
        "forget": tuple(u.id for u in targets if u.speaker in chosen),
        "unseen": tuple(u.id for u in targets if u.speaker not in chosen),
    }
    members, others = sorted(chosen), sorted(set(names) - chosen)
    return replace(corpus, split=Split(split.seed, tuple(members), tuple(others), parts))


@dataclass(frozen=True, kw_only=True)
class Shadow(AttackModel):
    """One shadow model.

    Attributes:
        run: run.json of the original.
        number: which half of the speakers it is trained on.
    """

    run: Mapping[str, Any]
    number: int

    @property
    def description(self) -> str:
        return f"shadow {self.number}"

    def made_from(self) -> Any:
        options = self.run["options"]
        source = Path(options["model"])
        folder = source.parent if source.is_file() else source
        started_from = SavedModel.at(folder).files()
        return [options, started_from, self.corpus.content(), self.number]

    def make(self) -> None:
        train_alike(
            self.run,
            self.corpus,
            self.out,
            parts=("retain", "forget"),
            seed=FIRST_SEED + self.number,
            device=self.device,
        )


def shadows_of(
    original: SavedModel, corpus: Corpus, folder: Path, *, count: int, device: torch.device
) -> list[Shadow]:
    """Return the shadow models of an original, in `folder`/0, `folder`/1 and so on.

    Raises:
        InputError: the original has no run.json that says how it was trained.
    """
    run = original.run()
    if run.get("kind") != "train":
        raise InputError(
            f"shadow models are trained as the original was, but {original.folder} has no run.json "
            "of `asr-unlearn train` that says how; evaluate without --shadows"
        )
    return [
        Shadow(
            corpus=shadow_corpus(corpus, number),
            run=run,
            number=number,
            out=folder / str(number),
            device=device,
            window=original.window,
        )
        for number in range(count)
    ]


@dataclass(frozen=True)
class Shadows:
    """Losses of S shadow models on the X forget and unseen utterances, and who was trained on."""

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    losses: Float[np.ndarray, "S X"]
    member: Bool[np.ndarray, "S X"]

    @classmethod
    def read(cls, models: Sequence[AttackModel]) -> "Shadows":
        """Collect the rows of shadow models; their part "forget" was trained on."""
        rows = [sorted(model.rows(), key=lambda row: row["id"]) for model in models]
        return cls(
            ids=tuple(row["id"] for row in rows[0]),
            speakers=tuple(row["speaker"] for row in rows[0]),
            losses=np.array([[row["loss"] for row in each] for each in rows]),
            member=np.array([[row["part"] == "forget" for row in each] for each in rows]),
        )

    def attacks(
        self, rows: Sequence[Row], inside: Sequence[Observation], outside: Sequence[Observation]
    ) -> dict[str, Attack]:
        """Return LiRA and RMIA, under "lira" and "rmia", on the model with these rows."""
        losses = self.losses_of(rows)
        speakers = np.array(self.speakers)
        others = speakers[:, None] != speakers[None]
        statistics = {
            "lira": likelihood_ratios(losses, self.losses, self.member),
            "rmia": relative_ratios(losses, self.losses, others),
        }
        return {name: self.attack(values, inside, outside) for name, values in statistics.items()}

    def losses_of(self, rows: Sequence[Row]) -> Float[np.ndarray, " X"]:
        """Return the losses of the utterances in the rows of a model."""
        loss_of = {row["id"]: row["loss"] for row in rows}
        return np.array([loss_of[name] for name in self.ids])

    def attack(
        self,
        values: Float[np.ndarray, " X"],
        inside: Sequence[Observation],
        outside: Sequence[Observation],
    ) -> Attack:
        """Return the attack whose score of each utterance is its value."""
        of = dict(zip(self.ids, values.tolist(), strict=True))
        scores = (np.array([of[o.id] for o in group]) for group in (inside, outside))
        return attack_by_scores(inside, outside, *scores)

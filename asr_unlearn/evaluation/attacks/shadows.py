"""Shadow models: recognisers trained as the original was, with and without each speaker.

All of them learn from the retain speakers, and from one half of the forget and the unseen speakers
together: about as much as the original did, which halves of the whole corpus would not be. Two by
two they learn from opposite halves, so that every speaker is in exactly half of them. Membership
goes by speaker, not by utterance, since deletion does.

The attacks ask whether an unlearned model's loss is rather that of models that were trained on an
utterance, or of models that were not. Hayes et al. (arXiv 2403.01218) also unlearn each shadow
model before they look at it ("U-LiRA"): a stronger attack, whose cost is that of all shadow models
once for every method. Ours takes the shadows of the original for all.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.evaluation.predictions import Row, transcribe
from asr_unlearn.metrics.mia import (
    Attack,
    Observation,
    attack_by_scores,
    likelihood_ratios,
    relative_ratios,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of, stamp, stands
from asr_unlearn.training.finetune import train_alike

# Apart from the seeds that people give their models.
FIRST_SEED = 1000
TARGETS = ("forget", "unseen")


def shadow_corpus(corpus: Corpus, number: int) -> Corpus:
    """The corpus of one shadow model: its "forget" part is what it learns beside "retain", and
    its "unseen" part what it does not."""
    split = corpus.split
    targets = corpus.part(*TARGETS)
    names = sorted({u.speaker for u in targets})
    order = np.random.default_rng([split.seed, 3, number // 2]).permutation(names)
    chosen = set(order[number % 2 :: 2].tolist())
    parts: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(PARTS, ()),
        "retain": tuple(split.parts["retain"]),
        "forget": tuple(u.id for u in targets if u.speaker in chosen),
        "unseen": tuple(u.id for u in targets if u.speaker not in chosen),
    }
    members, others = sorted(chosen), sorted(set(names) - chosen)
    return replace(corpus, split=Split(split.seed, tuple(members), tuple(others), parts))


@dataclass(frozen=True)
class Shadow:
    """One shadow model, trained and asked; what stands is not redone."""

    corpus: Corpus
    run: Mapping[str, Any]
    number: int
    out: Path
    device: torch.device
    window: float | None

    @property
    def basis(self) -> str:
        """Of all that the model is made from."""
        options = self.run["options"]
        source = Path(options["model"])
        folder = source.parent if source.is_file() else source
        started_from = SavedModel.at(folder).files()
        return digest_of([options, started_from, self.corpus.content(), self.number])

    def is_done(self) -> bool:
        return stands(self.out, self.basis)

    def __call__(self) -> None:
        if not self.is_done():
            shutil.rmtree(self.out, ignore_errors=True)
            train_alike(
                self.run,
                self.corpus,
                self.out,
                parts=("retain", "forget"),
                seed=FIRST_SEED + self.number,
                device=self.device,
            )
            stamp(self.out, self.basis)
        self.rows()

    def rows(self) -> list[Row]:
        """What the model says of all that it may have learned."""
        return transcribe(
            SavedModel(f"shadow {self.number}", 0, self.out, window=self.window),
            self.corpus.manifest,
            self.corpus.split,
            device=self.device,
            parts=TARGETS,
        )


def shadows_of(
    original: SavedModel, corpus: Corpus, folder: Path, *, count: int, device: torch.device
) -> list[Shadow]:
    """Shadow models for all models that come from an original like this, `folder`/0 and on.

    Raises:
        ValueError: an original of which it is not known how it was trained.
    """
    run = original.run()
    if run.get("kind") != "train":
        raise InputError(
            f"shadow models are trained as the original was, but {original.folder} has no run.json "
            "of `asr-unlearn train` that says how; evaluate without --shadows"
        )
    return [
        Shadow(
            shadow_corpus(corpus, number),
            run,
            number,
            folder / str(number),
            device,
            original.window,
        )
        for number in range(count)
    ]


@dataclass(frozen=True)
class Shadows:
    """What S shadow models make of the X forget and unseen utterances."""

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    losses: Float[np.ndarray, "S X"]
    member: Bool[np.ndarray, "S X"]

    @classmethod
    def read(cls, models: Sequence[Shadow]) -> "Shadows":
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
        """LiRA and RMIA on a model with these rows."""
        loss_of = {row["id"]: row["loss"] for row in rows}
        losses = np.array([loss_of[name] for name in self.ids])
        speakers = np.array(self.speakers)
        others = speakers[:, None] != speakers[None]
        statistics = {
            "lira": likelihood_ratios(losses, self.losses, self.member),
            "rmia": relative_ratios(losses, self.losses, others),
        }
        found = {}
        for name, values in statistics.items():
            of = dict(zip(self.ids, values.tolist(), strict=True))
            scores = (np.array([of[o.id] for o in group]) for group in (inside, outside))
            found[name] = attack_by_scores(inside, outside, *scores)
        return found

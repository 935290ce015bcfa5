"""The informed attacker's own models: other speakers, unlearned as the model under attack was.

They come from the same original, by the same method with its options and its stop rule, and have
the same strangers to stop at; where an outsider told how hard the speakers are, each of them has an
outsider of its own, which has not met the speakers that it forgets. An attacker outside would have
to train an original of his own: this one knows as much as anybody can.

There is none for the retrained model, which nothing was unlearned from: an attacker would have to
retrain it for others.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.evaluation.attacks.observations import observations, target_loss
from asr_unlearn.evaluation.predictions import Row, transcribe
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import find_method, make_method
from asr_unlearn.metrics.mia import Known
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of, stamp, stands
from asr_unlearn.training.finetune import train_alike
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.unlearn import unlearn_model


def other_request(corpus: Corpus, number: int) -> Corpus:
    """The same corpus, but as many of the retain speakers are to be forgotten instead.

    The speakers of true requests take no part. Nobody is in two requests before everybody was in
    one, as far as their numbers allow.

    Raises:
        ValueError: there are not enough retain speakers, with one to be kept.
    """
    split = corpus.split
    names = sorted({u.speaker for u in corpus.part("retain")})
    count = len(split.forget_speakers)
    if len(names) <= count:
        raise InputError(
            f"an informed attacker forgets {count} other speakers, but only {len(names)} are "
            "retained; evaluate without --informed"
        )
    turn, place = divmod(number, len(names) // count)
    order = np.random.default_rng([split.seed, 2, turn]).permutation(names)
    chosen = {str(name) for name in order[place * count : (place + 1) * count]}
    retain = corpus.part("retain")
    parts: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(PARTS, ()),
        "forget": tuple(u.id for u in retain if u.speaker in chosen),
        "retain": tuple(u.id for u in retain if u.speaker not in chosen),
        "unseen": tuple(split.parts["unseen"]),
    }
    other = Split(split.seed, tuple(sorted(chosen)), split.unseen_speakers, parts)
    return replace(corpus, split=other)


@dataclass(frozen=True)
class Unlearning:
    """One model of the attacker's, made and asked about both groups; what stands is not redone."""

    corpus: Corpus
    original: Path
    run: Mapping[str, Any]
    out: Path
    device: torch.device
    beams: int
    window: float | None
    reference_model: Path | None = None

    @property
    def basis(self) -> str:
        """Of all that the model is made from."""
        weights = SavedModel.at(self.original).weights()
        made = [weights, self.run["options"], self.run["seed"], self.corpus.content()]
        if self.reference_model is not None:
            made.append(SavedModel.at(self.reference_model).run()["options"])
        return digest_of(made)

    def is_done(self) -> bool:
        return stands(self.out, self.basis)

    def __call__(self) -> None:
        if not self.is_done():
            options = self.run["options"]
            shutil.rmtree(self.out, ignore_errors=True)
            stop = Stop(**options["stop"], reference_model=self._own_reference_model())
            unlearn_model(
                self.corpus,
                self.original,
                _method_of(self.run),
                self.out,
                seed=self.run["seed"],
                device=self.device,
                stop=stop,
                freeze_front_end=options["front_end_frozen"],
                window=options.get("window") or "full",
            )
            stamp(self.out, self.basis)
        self.rows()

    def _own_reference_model(self) -> Path | None:
        """One that has not met those whom this model is to forget, trained anew."""
        if self.reference_model is None:
            return None
        own = self.out.with_name(f"{self.out.name}-reference_model")
        shutil.rmtree(own, ignore_errors=True)
        train_alike(
            SavedModel.at(self.reference_model).run(),
            self.corpus,
            own,
            parts=("retain",),
            seed=self.run["seed"],
            device=self.device,
        )
        return own

    def rows(self) -> list[Row]:
        """What the model says of those it has forgotten, and of strangers."""
        return transcribe(
            self._saved(),
            self.corpus.manifest,
            self.corpus.split,
            device=self.device,
            beams=self.beams,
            parts=("forget", "unseen"),
        )

    def _saved(self) -> SavedModel:
        name = f"{self.out.parent.name}, attacker's {self.out.name}"
        return SavedModel(name, 0, self.out, window=self.window)

    def known(self) -> Known:
        """The same, as the attacker learns from it."""
        rows, target = self.rows(), target_loss(SavedModel.at(self.out))
        return Known(
            forgotten=observations(rows, "forget", target),
            strangers=observations(rows, "unseen", target),
        )


def unlearnings(
    model: SavedModel,
    corpus: Corpus,
    folder: Path,
    *,
    count: int,
    device: torch.device,
    beams: int = 1,
) -> list[Unlearning]:
    """The attacker's models for one that was unlearned, `folder`/0 and on; none for any other.

    Raises:
        ValueError: it was unlearned with an outsider of which it is not known how it was trained.
    """
    run = model.run()
    if run.get("kind") != "unlearn":
        return []
    reference_model = model.reference_model()
    if reference_model and SavedModel.at(reference_model).run().get("kind") != "train":
        raise InputError(
            f"an informed attacker trains reference_models like {reference_model}, which has no run.json of "
            "`asr-unlearn train` that says how; evaluate without --informed"
        )
    return [
        Unlearning(
            other_request(corpus, number),
            model.original(),
            run,
            folder / str(number),
            device,
            beams,
            model.window,
            reference_model,
        )
        for number in range(count)
    ]


def _method_of(run: Mapping[str, Any]) -> Method:
    """The method of a run.json, with its options."""
    options = run["options"]
    # Runs of before the method was recorded stand in a folder of its name.
    name = options.get("method", run["name"])
    given = {f.name: options[f.name] for f in fields(find_method(name)) if f.name in options}
    return make_method(name, given)

"""Models for the informed attack: other speakers, unlearned as the attacked model's were.

They start from the same original and use the same method, options, stop rule and unseen speakers.
If the stop rule has a reference model, each of them gets a reference model of its own, trained
without the speakers that it forgets. A real attacker would have to train an original as well: this
attack is an upper bound.

The retrained model is not attacked, since nothing was unlearned from it.
"""

import logging
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import OF_EVERY_SPLIT, Split
from asr_unlearn.evaluation.attacks.attack_model import AttackModel
from asr_unlearn.evaluation.attacks.observations import observations, target_loss
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import find_method, make_method, users_method
from asr_unlearn.metrics.mia import KnownUnlearning
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest
from asr_unlearn.training.finetune import train_alike
from asr_unlearn.training.outcome import NothingUnlearnedError
from asr_unlearn.training.run_log import RunLog
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.unlearn import unlearn_model
from asr_unlearn.training.unlearn_setup import UnlearnSetup

logger = logging.getLogger(__name__)


def other_request(corpus: Corpus, number: int) -> Corpus:
    """Return the corpus split for another request: as many retain speakers to forget instead.

    The speakers of the true request are left out. No speaker is in two requests before every
    retain speaker was in one, as far as their number allows.

    Raises:
        InputError: there are too few retain speakers to forget as many and keep one.
    """
    split = corpus.split
    names = sorted({u.speaker for u in corpus.part("retain")})
    count = len(split.forget_speakers)
    if len(names) <= count:
        raise InputError(
            f"an informed attack forgets {count} other speakers, but only {len(names)} are "
            "retained; evaluate without --informed"
        )
    turn, place = divmod(number, len(names) // count)
    order = np.random.default_rng([split.seed, 2, turn]).permutation(names)
    chosen = {str(name) for name in order[place * count : (place + 1) * count]}
    retain = corpus.part("retain")
    parts: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(OF_EVERY_SPLIT, ()),
        "forget": tuple(u.id for u in retain if u.speaker in chosen),
        "retain": tuple(u.id for u in retain if u.speaker not in chosen),
        "unseen": tuple(split.parts["unseen"]),
    }
    other = Split(split.seed, tuple(sorted(chosen)), split.unseen_speakers, parts)
    return replace(corpus, split=other)


@dataclass(frozen=True, kw_only=True)
class Unlearning(AttackModel):
    """One model of the informed attack.

    Attributes:
        original: folder of the model that the attacked one was unlearned from.
        method: name of its method, for `make_method`.
        run: run.json of the attacked model.
        reference_model: folder of the reference model that the attacked one was stopped with.
    """

    original: Path
    method: str
    run: Mapping[str, Any]
    reference_model: Path | None = None

    @property
    def description(self) -> str:
        return f"{self.out.parent.name}, informed {self.out.name}"

    def made_from(self) -> Any:
        weights = SavedModel.at(self.original).weights()
        made_from = [weights, self.run["options"], self.run["seed"], self.corpus.content()]
        if self.reference_model is not None:
            made_from.append(SavedModel.at(self.reference_model).run()["options"])
        if users := users_method(self.method):
            made_from.append(digest(Path(users[0])))
        return made_from

    def make(self) -> None:
        try:
            self._unlearn()
        except NothingUnlearnedError as error:
            # Such a model would not have been changed in earnest either.
            logger.warning("%s is left as it is: %s", self.description, error)
            shutil.copytree(self.original, self.out)
            if error.target is not None:
                RunLog(self.out).log(step=0, target_loss=error.target.loss)

    def _unlearn(self) -> None:
        options = self.run["options"]
        unlearn_model(
            self.corpus,
            self.original,
            _method_of(self.method, options),
            self.out,
            seed=self.run["seed"],
            device=self.device,
            stop=Stop(**options["stop"], reference_model=self._own_reference_model()),
            setup=UnlearnSetup.of(options),
        )

    def _own_reference_model(self) -> Path | None:
        """A reference model trained anew, without the speakers that this model forgets."""
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

    def known(self) -> KnownUnlearning:
        """Return the observations that the informed attack is trained on."""
        rows, target = self.rows(), target_loss(SavedModel.at(self.out))
        return KnownUnlearning(
            forgotten=observations(rows, "forget", target),
            unseen=observations(rows, "unseen", target),
        )


def unlearnings(unlearning: Unlearning, folder: Path, count: int) -> list[Unlearning]:
    """Return the models of the informed attack, in `folder`/0, `folder`/1 and so on.

    Args:
        unlearning: the attacked model's own.

    Raises:
        InputError: there are too few retain speakers to forget others.
    """
    return [
        replace(
            unlearning, corpus=other_request(unlearning.corpus, number), out=folder / str(number)
        )
        for number in range(count)
    ]


def unlearning_of(
    model: SavedModel,
    corpus: Corpus,
    *,
    device: torch.device,
    beams: int = 1,
    method_files: Collection[str] = (),
) -> Unlearning | None:
    """Return the unlearning that made a model, to be repeated elsewhere for other speakers.

    None for a model that was not unlearned.

    Raises:
        InputError: its reference model has no run.json that says how it was trained; or its method
            is in a file that is not one of `method_files`.
    """
    run = model.run()
    if run.get("kind") != "unlearn":
        return None
    method = _trusted_method(model, method_files)
    reference_model = model.reference_model()
    if reference_model and SavedModel.at(reference_model).run().get("kind") != "train":
        raise InputError(
            f"an informed attack trains reference models like {reference_model}, but that has no "
            "run.json of `asr-unlearn train` that says how; evaluate without --informed"
        )
    return Unlearning(
        corpus=corpus,
        original=model.original(),
        method=method,
        run=run,
        out=model.folder,
        device=device,
        beams=beams,
        window=model.window,
        reference_model=reference_model,
    )


def _trusted_method(model: SavedModel, method_files: Collection[str]) -> str:
    """The name of a model's method: a built-in one, or one of the files that the user names.

    A run.json is data: a file is never run because a run.json names it.
    """
    name: str | None = model.run()["options"].get("method")
    if name is None:
        raise InputError(
            f"{model.folder}/run.json names no method to attack by; evaluate without --informed"
        )
    if (wanted := users_method(name)) is None:
        return name
    for given in method_files:
        own = users_method(given)
        if own and (Path(own[0]).name, own[1]) == (Path(wanted[0]).name, wanted[1]):
            return given
    raise InputError(
        f"{model.folder}/run.json names a method in a file, {name}, which is not run unless you "
        f"name it: --method_files {Path(wanted[0]).name}:{wanted[1]} with its path"
    )


def _method_of(name: str, options: Mapping[str, Any]) -> Method:
    """The method of that name, with its options among those of a run.json."""
    given = {f.name: options[f.name] for f in fields(find_method(name)) if f.name in options}
    return make_method(name, given)

"""Which models an evaluation compares: folders beside results.json, names and seeds."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import disjoint, label_of
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError


def relative_folder(folder: Path, root: Path) -> Path:
    """Return the folder relative to `root`; either may be absolute."""
    return Path(os.path.relpath(folder, root))


def check_models(models: Sequence[SavedModel], split: Split, root: Path) -> None:
    """Check that models can be evaluated beside each other, in a folder `root`.

    Raises:
        InputError: an unlearned model's weights are not those of its run.json, or what the checks
            below refuse.
    """
    check_folders(models, root)
    for model in models:
        model.check_weights()
    check_retrained(models, split)
    check_tasks(models)


def check_folders(models: Sequence[SavedModel], root: Path) -> None:
    """Check that models have different names or seeds, and are under `root`.

    Raises:
        InputError: a model is not under `root`, or two have the same name and seed.
    """
    for model in models:
        if ".." in relative_folder(model.folder, root).parts:
            raise InputError(
                f"{model.folder} is not under {root}: models must be beside results.json"
            )
    for key, count in Counter(model.key for model in models).items():
        if count > 1:
            folders = ", ".join(str(model.folder) for model in models if model.key == key)
            raise InputError(f"{count} models are called {key[0]} with seed {key[1]}: {folders}")


def check_tasks(models: Sequence[SavedModel]) -> None:
    """Raises InputError if the models have different tasks."""
    if len(kinds := {model.kind() for model in models}) > 1:
        raise InputError(
            f"models of different tasks cannot be compared: {', '.join(sorted(kinds))}"
        )


def check_retrained(models: Sequence[SavedModel], split: Split) -> None:
    """Raises InputError if a model called retrained was trained on the forget part.

    As far as its run.json says: a model without one is accepted.
    """
    for model in models:
        if model.name == RETRAINED and (why := model.training_overlap(split, ["forget"])):
            raise InputError(f"{model.folder} is called retrained, but is not: {why}")


def without_retrained(models: Sequence[SavedModel]) -> list[SavedModel]:
    """Return the models whose seed has no retrained model, if another seed has one."""
    seeds = {model.seed for model in models if model.name == RETRAINED}
    return [model for model in models if model.seed not in seeds] if seeds else []


def forgets_classes(models: Sequence[SavedModel], corpus: Corpus) -> bool:
    """Whether the models are classifiers, and every utterance of some classes is to be forgotten.

    The classes of a speaker classifier are the speakers.
    """
    forget, retain = ({label_of(u) for u in corpus.part(part)} for part in ("forget", "retain"))
    return models[0].kind() == "classification" and disjoint(forget, retain)

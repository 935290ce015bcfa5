"""Which models an evaluation compares: folders beside results.json, names and seeds."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.labels import disjoint, label_of
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.evaluation.results import ORIGINAL, RETRAINED
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError

logger = logging.getLogger(__name__)


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
    check_originals(models, split)
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
    """Raises InputError if a model called retrained was trained on another part than retain.

    As far as its run.json says: a model without one is accepted.
    """
    others = [part for part in PARTS if part != "retain"]
    for model in models:
        if model.name == RETRAINED and (why := model.training_overlap(split, others)):
            raise InputError(f"{model.folder} is called retrained, but is not: {why}")


def check_originals(models: Sequence[SavedModel], split: Split) -> None:
    """Check the models called original, as far as run.json files say.

    There is a warning where one is not what another model was unlearned from, since the same
    weights may have been saved again, and where it was trained for another split.

    Raises:
        InputError: one was unlearned for this request, or was trained on speakers that are to be
            those that it was not trained on.
    """
    for original in (model for model in models if model.name == ORIGINAL):
        if original.unlearned_for(split):
            raise InputError(
                f"{original.folder} is called original, but was unlearned for this request; give "
                "the model that it was unlearned from as --original"
            )
        run = original.run()
        same = run.get("request") == split.digest
        trained = run["options"]["parts"] if run.get("kind") == "train" else ()
        if same and (known := {"unseen", "test"}.intersection(trained)):
            raise InputError(
                f"{original.folder} was trained on {' and '.join(sorted(known))} too, so that no "
                "figure would be of speakers that it was not trained on; train it on retain,forget"
            )
        if trained and not same and "request" in run and not split.forgotten_speakers:
            logger.warning(
                "%s was trained for another split: it may have been trained on some of this one's "
                "unseen and test speakers, and then their figures say nothing",
                original.folder,
            )
        for model in models:
            unlearned = model.seed == original.seed and model.run().get("kind") == "unlearn"
            if unlearned and not model.comes_from(original):
                logger.warning(
                    "%s: by its run.json it was unlearned from other weights than those of %s, "
                    "which the evaluation calls its original; give that model as --original",
                    *(model.folder, original.folder),
                )


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

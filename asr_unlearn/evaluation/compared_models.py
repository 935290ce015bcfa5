"""Where the models of an evaluation stand, beside its results.json, and what they are called."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.data.split import Split
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.errors import InputError


def place(folder: Path, root: Path) -> Path:
    """The folder as seen from `root`, whether or not they are given as absolute paths."""
    return Path(os.path.relpath(folder, root))


def check_folders(models: Sequence[SavedModel], root: Path) -> None:
    """Raises ValueError where a model is not under `root`, or two have one name and seed."""
    for model in models:
        if ".." in place(model.folder, root).parts:
            raise InputError(f"{model.folder} is not under {root}: models lie beside results.json")
    for key, count in Counter(model.key for model in models).items():
        if count > 1:
            folders = ", ".join(str(model.folder) for model in models if model.key == key)
            raise InputError(f"{count} models are called {key[0]} with seed {key[1]}: {folders}")


RETRAINED = "retrained"


def check_retrained(models: Sequence[SavedModel], split: Split) -> None:
    """Raises ValueError where a model called retrained has met whom it must not, as it says."""
    for model in models:
        if model.name == RETRAINED and (why := model.training_overlap(split, ["forget"])):
            raise InputError(f"{model.folder} is called retrained, but is not: {why}")


def without_retrained(models: Sequence[SavedModel]) -> list[SavedModel]:
    """Models of seeds of which there is no retrained one, where there is one of another seed."""
    seeds = {model.seed for model in models if model.name == RETRAINED}
    return [model for model in models if model.seed not in seeds] if seeds else []

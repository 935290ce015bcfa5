"""Where the models of an evaluation stand, beside its results.json, and what they are called."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.errors import InputError
from asr_unlearn.saved import SavedModel


def place(folder: Path, root: Path) -> Path:
    """The folder as seen from `root`, whether or not they are given as absolute paths."""
    return Path(os.path.relpath(folder, root))


def check_places(models: Sequence[SavedModel], root: Path) -> None:
    """Raises ValueError where a model is not under `root`, or two have one name and seed."""
    for model in models:
        if ".." in place(model.folder, root).parts:
            raise InputError(f"{model.folder} is not under {root}: models lie beside results.json")
    for key, count in Counter(model.key for model in models).items():
        if count > 1:
            folders = ", ".join(str(model.folder) for model in models if model.key == key)
            raise InputError(f"{count} models are called {key[0]} with seed {key[1]}: {folders}")

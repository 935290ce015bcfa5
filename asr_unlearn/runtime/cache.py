"""Where it is kept what can be worked out again: beside what is made of it, not beside inputs."""

import hashlib
import os
import re
from pathlib import Path


def cache_folder(out: Path) -> Path:
    """The folder for what is worked out on the way to `out`: OUT/.cache for what is made in OUT.

    For what is made in OUT/seed1 as well: all seeds and stages of a recipe share one.
    """
    folder = out.parent
    return (folder.parent if re.fullmatch(r"seed\d+", folder.name) else folder) / ".cache"


def answers_folder(folder: Path, root: Path) -> Path:
    """Where it is kept what the model in `folder` answers, in an evaluation in `root`.

    In its own folder if that stands in `root`. What is only linked from there, stands elsewhere or
    may not be written to is left as it is, and its answers stand in the cache of `root`.
    """
    within = folder.resolve().is_relative_to(root.resolve())
    if within and os.access(folder, os.W_OK):
        return folder
    name = hashlib.sha256(os.path.relpath(folder, root).encode()).hexdigest()[:16]
    return cache_folder(root / "results.json") / "answers" / name

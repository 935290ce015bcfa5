"""Where it is kept what can be worked out again: beside what is made of it, not beside inputs."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.io import atomic_write, digest_of


def cache_folder(out: Path) -> Path:
    """The folder for what is worked out on the way to `out`: OUT/.cache for what is made in OUT.

    For what is made in OUT/seed1 as well: all seeds and stages of a recipe share one.
    """
    folder = out.parent
    return (folder.parent if re.fullmatch(r"seed\d+", folder.name) else folder) / ".cache"


def predictions_folder(folder: Path, root: Path) -> Path:
    """Where it is kept what the model in `folder` answers, in an evaluation in `root`.

    In its own folder if that stands in `root`. What is only linked from there, stands elsewhere or
    may not be written to is left as it is, and its answers stand in the cache of `root`.
    """
    within = folder.resolve().is_relative_to(root.resolve())
    if within and os.access(folder, os.W_OK):
        return folder
    name = hashlib.sha256(os.path.relpath(folder, root).encode()).hexdigest()[:16]
    return cache_folder(root / "results.json") / "answers" / name


@dataclass(frozen=True)
class Cached:
    """A file or folder, and the key of what it was made from, noted beside it in NAME.key."""

    path: Path
    key: str

    @property
    def is_current(self) -> bool:
        """Whether the file or folder exists and was made from the same."""
        note = self._note
        return self.path.exists() and note.exists() and note.read_text(encoding="utf-8") == self.key

    def save(self) -> None:
        """Note the key, once the file or folder is complete."""
        with atomic_write(self._note) as partial:
            partial.write_text(self.key, encoding="utf-8")

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.key")


def cached(path: Path, made_from: Any) -> Cached:
    """A cache entry for what is made at `path`.

    Args:
        path: file or folder to make unless `is_current`; call `save` afterwards.
        made_from: everything that its content depends on, as JSON can write it.
    """
    return Cached(path, digest_of(made_from))

"""Results that are kept for the next run: where they are, and what they were made from."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.io import atomic_write, digest_of


def cache_folder(out: Path) -> Path:
    """Return the cache folder for the output `out`: OUT/.cache for OUT/results.json.

    OUT/seed1/results.json has it too: all seeds and stages of a recipe share one.
    """
    folder = out.parent
    return (folder.parent if re.fullmatch(r"seed\d+", folder.name) else folder) / ".cache"


def predictions_folder(folder: Path, root: Path) -> Path:
    """Return where an evaluation in `root` keeps the predictions of the model in `folder`.

    In the cache, not in the model's folder: they quote the speakers, and a model that forgets them
    is to be handed on.
    """
    cache = cache_folder(root / "results.json")
    within = os.path.relpath(folder, cache.parent)
    if within.startswith(os.pardir):
        within = hashlib.sha256(within.encode()).hexdigest()[:16]
    return cache / "predictions" / within


@dataclass(frozen=True)
class Cached:
    """A file or folder, and the key of what it is made from, noted beside it in .NAME.key."""

    path: Path
    key: str

    @property
    def is_current(self) -> bool:
        """Whether the file or folder exists and was made from the same."""
        note = self._note
        return self.path.exists() and note.exists() and note.read_text(encoding="utf-8") == self.key

    def clear(self) -> None:
        """Delete the file or folder, and first its key: a key never stands beside other content."""
        self._note.unlink(missing_ok=True)
        if self.path.is_dir():
            shutil.rmtree(self.path)
        self.path.unlink(missing_ok=True)

    @contextmanager
    def write(self) -> Iterator[Path]:
        """Yield a temporary path to write to; it becomes the file, and the key is noted."""
        self._note.unlink(missing_ok=True)
        with atomic_write(self.path) as partial:
            yield partial
        self.save()

    def save(self) -> None:
        """Note the key, once the file or folder is complete."""
        with atomic_write(self._note) as partial:
            partial.write_text(self.key, encoding="utf-8")

    @property
    def _note(self) -> Path:
        return self.path.with_name(f".{self.path.name}.key")


def cached(path: Path, made_from: Any) -> Cached:
    """Return the cache entry for the file or folder at `path`.

    Make it unless `is_current`: a file by `write`; a folder after `clear`, and then call `save`.

    Args:
        made_from: everything that its content depends on, as JSON can write it.
    """
    return Cached(path, digest_of(made_from))

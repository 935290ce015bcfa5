"""Results that are kept for the next run: where they are, and what they were made from."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.file_state import FileState
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
    """A file or folder, with a note beside it, .NAME.key: what it was made from, and its content.

    The note has the key and the state of every file, so that what was damaged or edited since does
    not count as current.
    """

    path: Path
    key: str

    @property
    def is_current(self) -> bool:
        """Whether it was made from the same, and every file is there as it was made."""
        note = _read_note(self.path)
        if note is None or note.get("key") != self.key:
            return False
        return self.path.exists() and not _changed(self.path, note)

    def clear(self) -> None:
        """Delete the file or folder, and first its key: a key never stands beside other content."""
        _note_of(self.path).unlink(missing_ok=True)
        if self.path.is_dir():
            shutil.rmtree(self.path)
        self.path.unlink(missing_ok=True)

    @contextmanager
    def write(self) -> Iterator[Path]:
        """Yield a temporary path to write to; it becomes the file, and the key is noted."""
        _note_of(self.path).unlink(missing_ok=True)
        with atomic_write(self.path) as partial:
            yield partial
        self.save()

    def save(self, also: Iterable[Path] = ()) -> None:
        """Note the key and the content, once the file or folder is complete.

        Args:
            also: further files that were made with it.
        """
        made = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        folder = self.path.parent
        files = {
            os.path.relpath(file, folder): asdict(FileState.of(file))
            for file in (*made, *also)
            if file.is_file()
        }
        with atomic_write(_note_of(self.path)) as partial:
            # Names of files may hold bytes that are not UTF-8.
            partial.write_text(json.dumps({"key": self.key, "files": files}), encoding="utf-8")


def cached(path: Path, made_from: Any) -> Cached:
    """Return the cache entry for the file or folder at `path`.

    Make it unless `is_current`: a file by `write`; a folder after `clear`, and then call `save`.

    Args:
        made_from: everything that its content depends on, as JSON can write it.
    """
    return Cached(path, digest_of(made_from))


def changed_since(path: Path) -> list[Path]:
    """The files of a cached file or folder that are not as they were made; none without a note."""
    note = _read_note(path)
    return [] if note is None else _changed(path, note)


def _note_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.key")


def _read_note(path: Path) -> dict[str, Any] | None:
    """The note beside a file or folder; None where there is none that can be read."""
    try:
        note = json.loads(_note_of(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(note, dict) or not isinstance(note.get("files"), dict):
        return None
    return note


def _changed(path: Path, note: Mapping[str, Any]) -> list[Path]:
    files = {path.parent / name: FileState.read(state) for name, state in note["files"].items()}
    return [file for file, state in files.items() if state is None or not state.fits(file)]

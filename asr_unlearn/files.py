"""Files that appear whole or not at all, and the text of those that a person wrote."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr_unlearn.errors import InputError


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes `path`'s place only when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """The text of a file that a person may have written: UTF-8, a byte order mark left out.

    Raises:
        ValueError: a folder, or not UTF-8.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error


def write_json(path: Path, content: Any) -> None:
    """Indented JSON, published at once; half a character is written as an escape."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with write_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="backslashreplace")


def stands(target: Path, basis: str) -> bool:
    """Whether a file or folder is there, made from what `basis` is the digest of."""
    note = _note(target)
    return target.exists() and note.exists() and note.read_text() == basis


def stamp(target: Path, basis: str) -> None:
    """Note beside a file or folder what it was made from."""
    with write_aside(_note(target)) as aside:
        aside.write_text(basis)


def _note(target: Path) -> Path:
    return target.with_suffix(".stamp")


def publish_folder(partial: Path, final: Path) -> None:
    """Rename a finished folder into place; what stood there stays as `NAME.old-N`."""
    if final.exists():
        number = 1
        while final.with_name(f"{final.name}.old-{number}").exists():
            number += 1
        final.rename(final.with_name(f"{final.name}.old-{number}"))
    partial.rename(final)

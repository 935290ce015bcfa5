"""Check that outputs can be written and destroy nothing, before any work is done."""

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import absolute

# The first lines of a file are enough to tell what it is, unless all is one line.
HEAD = 1 << 16


def check_file(out: Path, *inputs: Path, keys: Collection[str] = ()) -> None:
    """Check that a file can be written at `out`.

    Args:
        out: the output.
        inputs: files and folders that the command reads, where they exist.
        keys: of the JSON object that such an output is or begins with; a file of another kind is
            not replaced.

    Raises:
        InputError: it cannot be written, is an input, or would replace a file of another kind.
    """
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give a file, such as one in it")
    check_apart(out, inputs)
    if keys and out.exists() and not _begins_with(out, keys):
        raise InputError(
            f"--out {out} is a file that this command has not written; give another name, or "
            "delete it first"
        )
    _check_above(out)


def check_folder(out: Path) -> None:
    """Raises InputError where no folder can be made or written to at `out`."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder")
    _check_above(out)


def check_model_folder(out: Path, *inputs: Path) -> None:
    """Check that a model can be published at `out`, where a model of before is set aside.

    Raises:
        InputError: it cannot be written, is or holds an input, or is a folder of other files.
    """
    check_folder(out)
    check_apart(out, inputs)
    if out.is_dir() and not (out / "run.json").is_file() and any(out.iterdir()):
        raise InputError(
            f"--out {out} is a folder with files that this command has not written (it has no "
            "run.json); give another name, or delete it first"
        )


def check_apart(out: Path, inputs: Iterable[Path]) -> None:
    """Raises InputError where `out` is one of the inputs, or a folder that holds one."""
    if not out.exists():
        return
    # By its name too, which may be that of a link to a file elsewhere.
    places = (out.resolve(), absolute(out))
    for path in inputs:
        if not path.exists():
            continue
        # A hard link is the same file by another name.
        if out.samefile(path):
            raise InputError(f"--out {out} is read by this command; write to another place")
        if path.resolve().is_relative_to(places[0]) or absolute(path).is_relative_to(places[1]):
            raise InputError(
                f"--out {out} holds {path}, which is read by this command; write to another place"
            )


def _begins_with(path: Path, keys: Collection[str]) -> bool:
    """Whether a file is empty, or is or begins with a JSON object that has these keys."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            if not (text := file.read(HEAD)).strip():
                return True
            first = text.lstrip().partition("\n")[0]
            try:
                content = json.loads(first)
            except ValueError:
                content = json.loads(text + file.read())
    except ValueError:
        return False
    return isinstance(content, dict) and content.keys() >= set(keys)


def _check_above(out: Path) -> None:
    """Raises InputError where nothing can be written to the folder of `out`."""
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"--out {out}: {above} is a file; give a path in a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: {above} may not be written to; give another place")

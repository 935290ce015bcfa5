"""Check that outputs can be written, before any work is done."""

import os
from pathlib import Path

from asr_unlearn.runtime.errors import InputError


def check_file(out: Path, *inputs: Path) -> None:
    """Raises InputError where no file can be written at `out`, or it is one of the `inputs`."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give a file, such as one in it")
    if any(os.path.realpath(out) == os.path.realpath(path) for path in inputs):
        raise InputError(f"--out {out} is read by this command; write to another file")
    _check_above(out)


def check_folder(out: Path) -> None:
    """Raises InputError where no folder can be made or written to at `out`."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder")
    _check_above(out)


def _check_above(out: Path) -> None:
    """Raises InputError where nothing can be written to the folder of `out`."""
    above = next(folder for folder in out.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"--out {out}: {above} is a file; give a path in a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: {above} may not be written to; give another place")

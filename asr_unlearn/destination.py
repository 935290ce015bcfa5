"""Whether a file can be written, asked before the work whose outcome it is to hold."""

import os
from pathlib import Path

from asr_unlearn.errors import InputError


def check_destination(out: Path, *inputs: Path) -> None:
    """Raises ValueError where `out` cannot be written, or is one of the files that are read."""
    if out.is_dir():
        raise InputError(f"--out {out}: Is a directory; give a file, such as {out / 'NAME'}")
    if any(os.path.realpath(out) == os.path.realpath(path) for path in inputs):
        raise InputError(f"--out {out} is read by this command; write to another file")
    folder = next(path for path in Path(os.path.abspath(out)).parents if path.exists())  # noqa: PTH100
    if not folder.is_dir():
        raise InputError(f"--out {out}: {folder} is a file; give a place in a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out {out}: cannot write in {folder}; give another place")

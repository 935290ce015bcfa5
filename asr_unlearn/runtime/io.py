"""Write files and folders atomically, read text, and take digests."""

import errno
import glob
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.errors import InputError


@contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which replaces `path` if no error is raised.

    Args:
        path: file to write.
        durable: wait for the disk. Without it a crash of the system may leave an empty file: for
            files that are cheap to make again and checked when they are read.

    Raises:
        OSError: naming `path`, also where the error of the system or of a library names no file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    partial = path.with_name(f".{path.name}.{_host()}.{os.getpid()}.partial")
    try:
        with naming(path, instead_of=partial):
            yield partial
            if durable:
                flush(partial)
            partial.replace(path)
            if durable:
                flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what processes of this machine that were killed have left of writing `path`."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.{_host()}.*.partial"):
        process = leftover.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            leftover.unlink(missing_ok=True)


@cache
def _host() -> str:
    """A short name of this machine: another one may write to the same folder."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's.
        return True
    return True


@contextmanager
def naming(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """A context in which a system error that names no file, or `instead_of`, names `path`.

    Safetensors and torch wrap system errors in their own, which become OSError again.
    """
    try:
        yield
    except Exception as error:
        number, already = _system_error(error), getattr(error, "filename", None)
        if number is None or (already is not None and str(already) != str(instead_of)):
            raise
        named = OSError(number, os.strerror(number), str(path))
        raise named from error


def _system_error(error: BaseException | None) -> int | None:
    """The errno of a system error or of the one that an error wraps; None for any other."""
    if isinstance(error, OSError):
        return error.errno
    # As Rust writes it in safetensors' errors.
    if found := re.search(r"\(os error (\d+)\)", str(error)):
        return int(found[1])
    # torch.save raises another error when it closes its archive.
    if type(error) is RuntimeError and isinstance(error.__context__, OSError):
        return error.__context__.errno
    return None


def flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk.

    Otherwise a rename may reach the disk before the content, and a crash of the system leaves an
    empty file under the final name.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot do this for folders.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(descriptor)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        InputError: a folder, or not UTF-8.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 ({error}); save it as UTF-8") from error


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, as `read_text` would have them; few are in memory at once.

    Raises:
        InputError: a folder, or not UTF-8.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the file")
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from (line.removesuffix("\n") for line in lines)
    except UnicodeDecodeError as error:
        # Its position is that within a piece of the file.
        raise InputError(f"{path} is not UTF-8 ({error.reason}); save it as UTF-8") from error


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON atomically; lone surrogates are written as escapes."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def publish_folder(partial: Path, final: Path) -> None:
    """Rename a finished folder to `final`; a folder already there is kept as `NAME.old-N`."""
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    if final.exists():
        number = 1
        while final.with_name(f"{final.name}.old-{number}").exists():
            number += 1
        final.rename(final.with_name(f"{final.name}.old-{number}"))
    partial.rename(final)
    flush(final.parent)


def absolute(path: Path) -> Path:
    """The absolute path without ".."."""
    # Links are not followed (Path.resolve would): behind one the name may lack its suffix.
    return Path(os.path.abspath(path))  # noqa: PTH100


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(content: Any) -> str:
    """SHA-256 of a value that JSON can write."""
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()

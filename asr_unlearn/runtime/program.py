"""How a program ends that a person called: errors are one line each, tracebacks for who asks."""

import errno
import io
import sys
import traceback
from collections.abc import Callable, Sequence

from asr_unlearn.runtime.errors import AsrUnlearnError

DEBUG = "--debug"
DEBUG_HELP = "print the traceback of an error"
INTERRUPTED = 130
"""The exit status that a shell expects of what Ctrl-C has ended."""
REMEDIES = {
    errno.ENOSPC: "free room; the same command goes on",
    errno.EDQUOT: "free room; the same command goes on",
    errno.EROFS: "give an --out that can be written to",
    errno.EACCES: "change its permissions, or give another",
    errno.EPERM: "change its permissions, or give another",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "give a folder",
    errno.EEXIST: "give a path where nothing stands",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "give a shorter one",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check the disk, and the log of the system",
}


def without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, and whether it was among them."""
    rest = [word for word in arguments if word != DEBUG]
    return rest, len(rest) < len(arguments)


def run_program(
    program: str, work: Callable[[], int | None], *, debug: bool = False, failed: int = 1
) -> int:
    """Do a program's work and return its exit status.

    An error is printed as one line, with `debug` as its traceback.

    Args:
        program: name that the line begins with.
        work: returns an exit status, or None for 0.
        debug: whether to print tracebacks.
        failed: exit status after an error.
    """
    _print_what_the_terminal_can()
    try:
        return work() or 0
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"{program}: {explained(error)}", file=sys.stderr)
        return failed


def explained(error: Exception) -> str:
    """What a person needs to read of an error: its message, for one of the system with a remedy."""
    if isinstance(error, AsrUnlearnError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        # An error between two files names the one that was to be written second.
        where = error.filename2 or error.filename
        said = f"{where}: {error.strerror}" if where is not None else str(error.strerror)
        remedy = REMEDIES.get(error.errno)
        return f"{said}; {remedy}" if remedy else said
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and message:
        return message
    return f"{type(error).__name__}: {message or 'no message'}; give {DEBUG} for the traceback"


def _print_what_the_terminal_can() -> None:
    """A character that the terminal's encoding lacks, such as ∇ or α, is printed as "?"."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

"""Run a program: errors are printed as one line, tracebacks with --debug."""

import errno
import io
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress

from asr_unlearn.runtime import signals
from asr_unlearn.runtime.errors import AsrUnlearnError
from asr_unlearn.runtime.text import one_line, printable

DEBUG = "--debug"
DEBUG_HELP = "print the traceback of an error"
REMEDIES = {
    errno.ENOMEM: "free some memory; the same command goes on",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f); the same command goes on",
    errno.ENOSPC: "free room; the same command goes on",
    errno.EDQUOT: "free room; the same command goes on",
    errno.EROFS: "give an --out that can be written to",
    errno.EACCES: "change its permissions, or give another",
    errno.EPERM: "change its permissions, or give another",
    errno.EISDIR: "give a file",
    errno.ENOTDIR: "give a folder",
    errno.EEXIST: "give a path that does not exist",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "give a shorter one",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check the disk, and the log of the system",
}

OUT_OF_MEMORY = (
    "out of memory; let less audio through the model at once (--compute.max_seconds), give a "
    "smaller batch (--method.retain_batch, --finetune.retain_batch) or fewer --workers, or free "
    "some; the same command goes on"
)
# What torch says where the allocator of the CPU or of a GPU has no more.
NO_MEMORY = r"can't allocate memory|not enough memory|CUDA out of memory|Cannot allocate memory"


def spare_waiting_threads() -> None:
    """Let OpenMP's waiting threads sleep; to be called before torch is imported.

    By default they spin, which made training thirty times slower beside other work.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, and whether it was among them."""
    rest = [word for word in arguments if word != DEBUG]
    return rest, len(rest) < len(arguments)


def run_program(
    program: str, work: Callable[[], int | None], *, debug: bool = False, failed: int = 1
) -> int:
    """Run a program's work; returns the exit status.

    Args:
        program: name at the start of an error's line.
        work: returns an exit status, or None for 0.
        debug: print an error's traceback, not one line.
        failed: exit status after an error.
    """
    _print_what_the_terminal_can()
    signals.end_with_parent()
    try:
        with signals.raised():
            return reported(program, work, debug=debug, failed=failed)
    except KeyboardInterrupt as interrupt:
        # The terminal that went away may be this one.
        with signals.ignored(), suppress(OSError):
            print(f"\n{program}: interrupted; the same command goes on", file=sys.stderr)
        return signals.status_of(interrupt)


def reported(
    program: str, work: Callable[[], int | None], *, debug: bool = False, failed: int = 1
) -> int:
    """Work as in `run_program`, with signals as they are: for imports, which survive none."""
    try:
        return work() or 0
    except Exception as error:
        if debug:
            print(printable(traceback.format_exc()), end="", file=sys.stderr)
        else:
            print(one_line(f"{program}: {explained(error)}"), file=sys.stderr)
        return failed


def explained(error: Exception) -> str:
    """The line to print for an error: its message, with a remedy for a system error."""
    if isinstance(error, AsrUnlearnError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        # An error between two files has the one to be written second.
        where = error.filename2 or error.filename
        line = f"{where}: {error.strerror}" if where is not None else str(error.strerror)
        remedy = REMEDIES.get(error.errno)
        return f"{line}; {remedy}" if remedy else line
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    message = " ".join(str(error).split())
    if isinstance(error, RuntimeError) and re.search(NO_MEMORY, message):
        return OUT_OF_MEMORY
    if isinstance(error, OSError) and message:
        return message
    return f"{type(error).__name__}: {message or 'no message'}; give {DEBUG} for the traceback"


def _print_what_the_terminal_can() -> None:
    """Print characters that the terminal's encoding lacks, such as ∇ or α, as "?"."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

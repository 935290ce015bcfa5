"""Jobs that are killed at a chosen file operation or moment, in a copy of this process.

Forked, so that the imports are paid once.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

# What Python tells of before it does it: opening to read or write, renaming, removing, making.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.link"}


def forked(job: Callable[[], object], before: Callable[[], None] | None = None) -> int:
    """Run a job in a copy of this process; its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        log = os.open(
            os.environ.get("KILLED_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND
        )
        os.dup2(log, 2)
        # That of progress bars is a semaphore which all copies share: one that is killed while it
        # holds it would stop the next for ever.
        tqdm.set_lock(threading.RLock())
        if before is not None:
            before()
        job()
        status = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """The exit status of a child: negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(job: Callable[[], object], folder: Path, operation: int) -> bool:
    """Run a job that is killed before its n-th file operation in a folder; whether it was."""

    def before() -> None:
        within, left = str(folder), operation

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in OPERATIONS and str(arguments[0]).startswith(within):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)

    status = ended(forked(job, before))
    assert status in (0, -signal.SIGKILL), f"status {status} before operation {operation}"
    return status != 0


def killed_after(job: Callable[[], object], seconds: float) -> bool:
    """Run a job that is killed after a time; whether it was."""
    child = forked(job)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return ended(child) != 0


def operations(job: Callable[[], object], folder: Path, counted: Path) -> int:
    """The number of file operations of a whole job in a folder."""

    def before() -> None:
        within = str(folder)
        number = os.open(counted, os.O_WRONLY | os.O_CREAT)

        def count(event: str, arguments: tuple[object, ...]) -> None:
            if event in OPERATIONS and str(arguments[0]).startswith(within):
                os.write(number, b".")

        sys.addaudithook(count)

    assert ended(forked(job, before)) == 0
    return counted.stat().st_size

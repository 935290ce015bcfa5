"""End on Ctrl-C, SIGTERM and SIGHUP, with children first and a step's work saved.

It imports little, since it is what a program does first.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PARENT = "ASR_UNLEARN_PARENT"
"""An environment variable: the process that a program must not outlive."""
LAUNCHED = "TORCHELASTIC_RUN_ID"
"""An environment variable that torchrun and `accelerate launch` give their processes."""
WATCH_SECONDS = 0.5


class EndedError(KeyboardInterrupt):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells expect: 128 and the number of the signal."""
    return 128 + getattr(interrupt, "number", int(signal.SIGINT))


def end_at_once(program: str) -> None:
    """From now on a signal ends this process with one line: for the time of the imports."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, f"\n{program}: interrupted; the same command goes on\n".encode())
        os._exit(128 + number)

    # A process of a pool imports the program again: its parent ends it.
    if signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []):
        for number in _listened_to():
            signal.signal(number, end)


@contextmanager
def raised() -> Iterator[None]:
    """A context in which the signals raise EndedError; elsewhere only Ctrl-C raises anything."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise EndedError(number)

    before = {number: signal.signal(number, end) for number in _listened_to()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Held:
    """Which signal has come while signals were held back; 0 if none has."""

    number: int = 0


@contextmanager
def held() -> Iterator[Held]:
    """A context in which the first signal waits for its end; the second one does not.

    So that the work of a step is saved as a whole. Signals that would end the process by
    themselves are left as they are.
    """
    come = Held()
    before = {
        number: handler
        for number in _listened_to()
        if callable(handler := signal.getsignal(number))
    }

    def note(number: int, frame: FrameType | None) -> None:
        if come.number:
            before[signal.Signals(number)](number, frame)
        come.number = number

    for number in before:
        signal.signal(number, note)
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if come.number:
        before[signal.Signals(come.number)](come.number, None)


@contextmanager
def ignored() -> Iterator[None]:
    """A context in which signals are ignored: for the last line of a program that ends anyway."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _listened_to()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent(parent: int | None = None) -> None:
    """End this process when its parent has been killed: it must not work on alone.

    Args:
        parent: its process id; by default that in the environment, or the launcher of several
            processes, if there is one.
    """
    given = os.environ.pop(PARENT, None) if parent is None else str(parent)
    if given is None and LAUNCHED in os.environ:
        given = str(os.getppid())
    if given is not None:
        threading.Thread(target=_watch, args=(int(given),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


def _listened_to() -> list[signal.Signals]:
    """The signals that are not ignored, as `nohup` does; none outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]

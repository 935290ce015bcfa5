"""Work in several processes, which end before this one and never outlive it."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar

from asr_unlearn.runtime import signals
from asr_unlearn.runtime.errors import AsrUnlearnError

T = TypeVar("T")
Call = Callable[[], Any]


class KilledError(AsrUnlearnError):
    """A process was killed from outside."""


class Submit(Protocol):
    """Hands a picklable call to another process."""

    def __call__(self, call: Callable[[], T]) -> Future[T]: ...


@contextmanager
def working(
    workers: int, calls: Iterable[Callable[[], T]], **given: Any
) -> Iterator[list[Future[T]]]:
    """Yield the futures of calls in processes of their own; the rest is as for `processes`."""
    with processes(workers, **given) as submit:
        yield [submit(call) for call in calls]


@contextmanager
def processes(
    count: int,
    *,
    one_call_each: bool = False,
) -> Iterator[Submit]:
    """Yield what runs calls in processes of their own.

    Where the context ends with an error or by a signal, the processes are asked to end first; a
    training saves a checkpoint then. A call whose process is killed raises KilledError.

    Args:
        count: processes at the same time.
        one_call_each: whether every call gets a fresh process.
    """
    pool = _Pool(one_call_each)
    # What starts otherwise with the first process, and lets Ctrl-C through to it.
    resource_tracker.ensure_running()
    threads = ThreadPoolExecutor(count)
    try:
        yield lambda call: threads.submit(pool.run, call)
    except BaseException:
        pool.terminate()
        raise
    finally:
        threads.shutdown(cancel_futures=True)
        pool.close()


class _Pool:
    """Processes that each have a pipe to this one, and share nothing with one another.

    Those of `ProcessPoolExecutor` share the locks of its queues: one that ends while it holds a
    lock lets the others wait for ever.
    """

    def __init__(self, one_call_each: bool) -> None:
        self._one_call_each = one_call_each
        self._lock = threading.Lock()
        self._all: list[_Process] = []
        self._idle: list[_Process] = []
        self._ending = False

    def run(self, call: Callable[[], T]) -> T:
        """Run a call in a process that is idle, or in a new one."""
        process = self._take()
        result: T = process.run(call)
        if self._one_call_each:
            process.close()
        else:
            self._idle.append(process)
        return result

    def _take(self) -> "_Process":
        with self._lock:
            if self._ending:
                raise CancelledError
            if self._idle:
                return self._idle.pop()
            process = _Process()
            self._all.append(process)
            return process

    def terminate(self) -> None:
        """Ask all to end; none is started any more."""
        with self._lock:
            self._ending = True
            for process in self._all:
                process.terminate()

    def close(self) -> None:
        """Wait for the end of all."""
        for process in self._all:
            process.close()


class _Process:
    """A process that runs one call after another."""

    def __init__(self) -> None:
        # Not forked: threads and CUDA do not survive that.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, os.getpid()))
        # It inherits that Ctrl-C is blocked: this process tells it to end.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def run(self, call: Call) -> Any:
        try:
            self._pipe.send(call)
            result, error = self._pipe.recv()
        except (EOFError, ConnectionError):
            raise KilledError(
                "a process was killed from outside, most often for lack of memory; give fewer "
                "workers, or free some memory; the same command goes on"
            ) from None
        if error is not None:
            raise error
        return result

    def terminate(self) -> None:
        self._process.terminate()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


def _serve(pipe: Connection, parent: int) -> None:
    """Run the calls that come, until the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.end_with_parent(parent)
    while True:
        try:
            call = pipe.recv()
        except EOFError:
            return
        result, failure = None, None
        try:
            result = ended_by_signals(call)
        except BaseException as error:
            error.add_note("".join(traceback.format_exception(error)))
            failure = error
        pipe.send((result, failure))


def ended_by_signals(call: Callable[[], T]) -> T:
    """Run a call in a process that otherwise waits for work, which a signal ends at once."""
    with signals.raised():
        return call()

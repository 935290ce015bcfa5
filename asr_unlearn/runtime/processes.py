"""Work in several processes, which end before this one and never outlive it."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from asr_unlearn.runtime import signals
from asr_unlearn.runtime.errors import AsrUnlearnError

T = TypeVar("T")


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
    begin: Callable[..., None] | None = None,
    arguments: tuple[Any, ...] = (),
    one_call_each: bool = False,
) -> Iterator[Submit]:
    """Yield what runs calls in processes of their own.

    Where the context ends with an error or by a signal, the processes are asked to end first; a
    training saves a checkpoint then.

    Args:
        count: processes at the same time.
        begin: called once in each process, with `arguments`.
        one_call_each: whether every call gets a fresh process.

    Raises:
        KilledError: a process was killed, most often for lack of memory.
    """
    others = multiprocessing.active_children()
    # Not forked: threads and CUDA do not survive that.
    pool = ProcessPoolExecutor(
        count,
        multiprocessing.get_context("spawn"),
        _begin,
        (os.getpid(), begin, arguments),
        max_tasks_per_child=1 if one_call_each else None,
    )
    futures: list[Future[Any]] = []

    def submit(call: Callable[[], T]) -> Future[T]:
        # They inherit that Ctrl-C is blocked: this process tells them to end.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            future = pool.submit(ended_by_signals, call)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        futures.append(future)
        return future

    try:
        yield submit
    except BaseException as error:
        # Not by `shutdown(wait=False)`: Python's thread of the pool fails where a process of a
        # single call ends after it.
        for future in futures:
            future.cancel()
        for child in multiprocessing.active_children():
            if child not in others:
                child.terminate()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise KilledError(
                "a process was killed from outside, most often for lack of memory; give fewer "
                "workers, or free some memory; the same command goes on"
            ) from error
        raise
    pool.shutdown()


def _begin(parent: int, begin: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals.end_with_parent(parent)
    if begin is not None:
        begin(*arguments)


def ended_by_signals(call: Callable[[], T]) -> T:
    """Run a call in a process that otherwise waits for work, which a signal ends at once."""
    with signals.raised():
        return call()

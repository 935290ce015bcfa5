"""Work on many items by threads, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
# Items that wait for a thread, or whose results wait: each takes 2 kB.
AHEAD = 1024


def mapped(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """Yield the results in the order of the items, of which few are taken ahead.

    Args:
        function: called in a thread.
        items: as many as you like; `ThreadPoolExecutor.map` takes all of them at once.
        workers: threads; by default as many as that class takes.

    Raises:
        what the function raises.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

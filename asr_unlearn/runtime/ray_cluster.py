"""Calls as tasks on a Ray cluster, whose nodes share the file system of the results."""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.processes import KilledError, Submit, ended_by_signals

T = TypeVar("T")

# How often a call begins anew on another node when its own is lost.
RETRIES = 10
# What tasks that are asked to end may take to save their work.
SECONDS_TO_END = 60.0


@contextmanager
def ray_tasks(address: str, *, gpus: int = 0) -> Iterator[Submit]:
    """Yield what runs calls on a Ray cluster; a call whose node is lost begins anew on another.

    Where the context ends with an error or by a signal, the tasks are asked to end first; a
    training saves a checkpoint then.

    Args:
        address: "ray" for the cluster that the variable RAY_ADDRESS names, else for this machine;
            or ray://HOST:PORT.
        gpus: that each call gets.

    Raises:
        InputError: ray is not installed, or there is no such cluster.
        KilledError: a call was killed, most often for lack of memory, or lost too often.
    """
    need_extra("ray", f"--runner {address}")
    import ray

    folders = os.environ.get("PYTHONPATH")
    try:
        ray.init(
            address=None if address == "ray" else address,
            runtime_env={"env_vars": {"PYTHONPATH": folders}} if folders else None,
            log_to_driver=False,
            include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError) as error:
        raise InputError(f"--runner {address}: {' '.join(str(error).split())}") from error
    # A process for each call: memory and threads are those of one training.
    task: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, max_calls=1)(
        ended_by_signals
    )
    tasks: list[Any] = []

    def submit(call: Callable[[], T]) -> Future[T]:
        tasks.append(task.remote(call))
        return _unwrapped(tasks[-1].future())

    try:
        yield submit
    except BaseException:
        for running in tasks:
            ray.cancel(running)
        ray.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_END)
        raise
    finally:
        ray.shutdown()


def _unwrapped(future: Future[T]) -> Future[T]:
    """A future with the error that a call raised, without what Ray puts around it."""
    import ray

    own: Future[T] = Future()

    def hand_on(done: Future[T]) -> None:
        error = done.exception()
        if error is None:
            own.set_result(done.result())
        elif isinstance(error, ray.exceptions.RayTaskError):
            own.set_exception(error.cause)
        else:
            first, *_ = str(error).splitlines() or [type(error).__name__]
            own.set_exception(KilledError(f"a task on the cluster was lost: {first}"))

    future.add_done_callback(hand_on)
    return own

"""Where trainings run: in this process, in others of this machine, or on a Ray cluster."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import torch

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.processes import Submit, processes
from asr_unlearn.runtime.ray_cluster import ray_tasks

LOCAL = "local"
T = TypeVar("T")


@dataclass(frozen=True)
class LoggedCall(Generic[T]):
    """A call for another process; what it prints is appended to a file.

    Attributes:
        call: picklable.
        log: the file.
        folder: that paths are relative to.
        threads: of torch; None for as many as the process has.
        gpu: the only one to be seen; None for all.
    """

    call: Callable[[], T]
    log: Path
    folder: Path
    threads: int | None = None
    gpu: str | None = None

    def __call__(self) -> T:
        os.chdir(self.folder)
        if self.gpu is not None:
            # Before the first call of CUDA in this process.
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with (
            self.log.open("a", encoding="utf-8", buffering=1) as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            return self.call()


@dataclass(frozen=True)
class Runner:
    """Where trainings run, and how many at the same time.

    Attributes:
        name: "local"; or "ray" or ray://HOST:PORT (see `ray_tasks`).
        workers: trainings at the same time; None for as many as the cluster has room for.
        gpus: the ids of the GPUs that this process sees, if they are to be used.
    """

    name: str
    workers: int | None
    gpus: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, workers: int | None, device: torch.device) -> "Runner":
        """The runner that was asked for; on this machine a worker for each GPU by default.

        Raises:
            InputError: there is no such runner, or Ray is not installed.
        """
        check_runner(name)
        gpus = _gpus() if device.type == "cuda" else ()
        if name == LOCAL and workers is None:
            workers = max(1, len(gpus))
        return cls(name, workers, gpus)

    @property
    def is_this_process(self) -> bool:
        """Whether one training after the other runs here, where torch is loaded once."""
        return self.name == LOCAL and self.workers == 1

    @property
    def gpu_of_each(self) -> list[str]:
        """A GPU for each worker of this machine; Ray gives them out itself."""
        if self.name != LOCAL or not self.gpus or self.workers is None:
            return []
        return [self.gpus[i % len(self.gpus)] for i in range(self.workers)]

    @property
    def threads(self) -> int | None:
        """The threads of each worker of this machine, which share its cores."""
        if self.name != LOCAL or self.workers is None:
            return None
        return max(1, torch.get_num_threads() // self.workers)

    def at_most(self, calls: int) -> "Runner":
        """The same with no more workers than there are calls."""
        return self if self.workers is None else replace(self, workers=min(self.workers, calls))

    @contextmanager
    def start(self, *, one_call_each: bool = True) -> Iterator[Submit]:
        """A context that gives what runs a call in another process.

        Args:
            one_call_each: whether every call gets a fresh process of this machine; on Ray it does.
        """
        if self.name == LOCAL:
            with processes(self.workers or 1, one_call_each=one_call_each) as submit:
                yield submit
        else:
            with ray_tasks(self.name, gpus=min(1, len(self.gpus))) as submit:
                yield submit


def check_runner(name: str) -> None:
    """Raises InputError if there is no such runner, or Ray is not installed."""
    if not re.fullmatch(r"local|ray(://\S+)?", name):
        raise InputError(f"--runner {name}: give local, ray or ray://HOST:PORT")
    if name != LOCAL:
        need_extra("ray", f"--runner {name}")


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return tuple(visible.split(","))
    return tuple(str(i) for i in range(torch.cuda.device_count()))

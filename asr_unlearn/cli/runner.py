"""Where the trainings of a recipe run: in this process, in others of this machine, or on Ray."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra
from asr_unlearn.runtime.processes import Submit, processes
from asr_unlearn.runtime.ray_cluster import ray_tasks

LOCAL = "local"


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
    gpus: tuple[str, ...]

    @classmethod
    def of(cls, name: str, workers: int | None, device: Device) -> "Runner":
        """The runner that was asked for; on this machine a worker for each GPU by default.

        Raises:
            InputError: there is no such runner, Ray is not installed, or there is no GPU.
        """
        if not re.fullmatch(r"local|ray(://\S+)?", name):
            raise InputError(f"--runner {name}: give local, ray or ray://HOST:PORT")
        if name != LOCAL:
            need_extra("ray", f"--runner {name}")
        gpus = _gpus() if pick_device(device).type == "cuda" else ()
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

    @contextmanager
    def start(self) -> Iterator[Submit]:
        """A context that gives what runs a call in another process."""
        if self.name == LOCAL:
            with processes(self.workers or 1, one_call_each=True) as submit:
                yield submit
        else:
            with ray_tasks(self.name, gpus=min(1, len(self.gpus))) as submit:
                yield submit


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        return tuple(visible.split(","))
    return tuple(str(i) for i in range(torch.cuda.device_count()))

"""Data-parallel processes, started by `torchrun` or `accelerate launch`.

Each has the model and a share of every batch. Everything here is a no-op in a single process.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The share of one of several processes."""

    rank: int
    of: int

    def of_all(self, items: Sequence[T]) -> Sequence[T]:
        """Every `of`-th item, starting at `rank`."""
        return items[self.rank :: self.of]


WHOLE = Share(0, 1)


def launched() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device) -> torch.device:
    """Join the group of launched processes; returns this one's device."""
    if not launched():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave() -> None:
    """Leave the group at the end of the program."""
    if launched() and dist.is_initialized():
        dist.destroy_process_group()


def group() -> dist.ProcessGroup | None:
    """The group of all processes; None for a single process."""
    return dist.group.WORLD if dist.is_initialized() and dist.get_world_size() > 1 else None


def share() -> Share:
    """This process's share of every batch."""
    together = group()
    return WHOLE if together is None else Share(dist.get_rank(), dist.get_world_size())


def is_first() -> bool:
    """Whether this process writes files and messages."""
    return share().rank == 0


def wait() -> None:
    """Wait until all processes are here."""
    if group() is not None:
        dist.barrier()


def gathered(own: Sequence[T]) -> list[T]:
    """The items of all processes, in the order of ranks."""
    if group() is None:
        return list(own)
    lists: list[list[T]] = [[] for _ in range(share().of)]
    dist.all_gather_object(lists, list(own))
    return [item for items in lists for item in items]

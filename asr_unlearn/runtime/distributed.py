"""The processes that `torchrun` or `accelerate launch` starts: one model, each a share of a batch.

Everything here is a no-op in a process that runs alone.
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
    """What one of several processes takes of a list."""

    rank: int
    of: int

    def of_all(self, items: Sequence[T]) -> Sequence[T]:
        return items[self.rank :: self.of]


WHOLE = Share(0, 1)


def launched() -> bool:
    """Whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: torch.device) -> torch.device:
    """Meet the other processes that were launched; returns this one's own device."""
    if not launched():
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def leave() -> None:
    """Part from the other processes, when all is done."""
    if launched() and dist.is_initialized():
        dist.destroy_process_group()


def group() -> dist.ProcessGroup | None:
    """All processes together; None for one alone."""
    return dist.group.WORLD if dist.is_initialized() and dist.get_world_size() > 1 else None


def share() -> Share:
    """What this process takes of every batch."""
    together = group()
    return WHOLE if together is None else Share(dist.get_rank(), dist.get_world_size())


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return share().rank == 0


def wait() -> None:
    """Go on when all processes have come here."""
    if group() is not None:
        dist.barrier()


def gathered(own: Sequence[T]) -> list[T]:
    """What all processes hold, in the order of ranks."""
    if group() is None:
        return list(own)
    lists: list[list[T]] = [[] for _ in range(share().of)]
    dist.all_gather_object(lists, list(own))
    return [item for items in lists for item in items]

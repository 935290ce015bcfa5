"""Several processes, started by `torchrun` or `accelerate launch`.

Those that train join a group: each has the model and a share of every batch. Those that evaluate
join none: each does a share of the jobs, and they meet. Everything is a no-op in a single process.
"""

import os
import time
from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch._C._distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from asr_unlearn.runtime.launch import WHOLE, Share, launched, launched_share

T = TypeVar("T")
POLL_SECONDS = 0.2
_PLACES = count()


def own_device(device: torch.device) -> torch.device:
    """This process's device, of several of the same kind."""
    if not launched() or device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def barrier_without_group() -> None:
    """Wait until all launched processes have come as far; for those that have joined no group."""
    if not launched():
        return
    store, own = _store(), launched_share()
    place = next(_PLACES)
    store.set(f"asr_unlearn/{place}/{own.rank}", "")
    others = [f"asr_unlearn/{place}/{rank}" for rank in range(own.world_size)]
    # Not `store.wait`, which no signal ends.
    while not store.check(others):
        time.sleep(POLL_SECONDS)


@cache
def _store() -> Store:
    """What the launcher, or the first process, keeps for all."""
    store: Store = next(rendezvous("env://"))[0]
    return store


def join(device: torch.device) -> torch.device:
    """Join the group of launched processes; returns this one's device."""
    if not launched():
        return device
    device = own_device(device)
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


def barrier() -> None:
    """Wait until all processes are here."""
    if group() is not None:
        dist.barrier()


def gathered(own: Sequence[T]) -> list[T]:
    """The items of all processes, in the order of ranks."""
    if group() is None:
        return list(own)
    lists: list[list[T]] = [[] for _ in range(share().world_size)]
    dist.all_gather_object(lists, list(own))
    return [item for items in lists for item in items]


def gathered_tensor(own: Float[Tensor, " n"]) -> Float[Tensor, " N"]:
    """The values of all processes, in the order of ranks, where this one's are."""
    return own.new_tensor(gathered(own.tolist()))

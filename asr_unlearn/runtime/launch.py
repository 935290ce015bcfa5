"""This process among those that `torchrun` or `accelerate launch` has started together."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The share of one of several processes."""

    rank: int
    world_size: int

    def of_all(self, items: Sequence[T]) -> Sequence[T]:
        """Every `world_size`-th item, starting at `rank`."""
        return items[self.rank :: self.world_size]


WHOLE = Share(0, 1)


def launched() -> bool:
    """Whether this process was started as one of several."""
    return launched_share().world_size > 1


def launched_share() -> Share:
    """This process's share of what the launched processes do, in a group or not."""
    return Share(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

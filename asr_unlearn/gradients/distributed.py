"""Processes that each have some of the utterances and take one step together.

K has products between utterances of different processes, so a sum of each process's own K would be
wrong. Rows are exchanged instead, a range at a time: each process receives a share of the columns
of all rows (all-to-all), and the products over the shares are summed.
"""

from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.types import Weights, resolve_weights


@dataclass(frozen=True)
class Processes:
    """The processes that take a step together; without a group, this one alone."""

    group: dist.ProcessGroup | None
    sizes: list[int] = field(default_factory=list)
    """How many retain utterances each process has, in the order of ranks."""

    @property
    def rank(self) -> int:
        """The index of this process."""
        return 0 if self.group is None else dist.get_rank(self.group)

    def with_utterances(self, own: int, device: torch.device) -> "Processes":
        """The same with `sizes`, where this process has `own` utterances."""
        if self.group is None:
            return Processes(None, [own])
        counts = torch.zeros(dist.get_world_size(self.group), dtype=torch.long, device=device)
        counts[self.rank] = own
        dist.all_reduce(counts, group=self.group)
        return Processes(self.group, counts.tolist())

    def mine(self, values: Float[Tensor, " B"]) -> Float[Tensor, " b"]:
        """This process's part of a vector over all utterances."""
        return torch.split(values, self.sizes)[self.rank]

    def joined(self, values: Float[Tensor, " b"]) -> Float[Tensor, " B"]:
        """A vector over this process's utterances, joined with the other processes' vectors."""
        whole = values.new_zeros(sum(self.sizes))
        self.mine(whole).copy_(values)
        return self.summed(whole)

    def columns(self, values: Float[Tensor, "*b n"]) -> Float[Tensor, "*b s"]:
        """This process's share of the columns."""
        return values.tensor_split(len(self.sizes), dim=-1)[self.rank]

    def rows(self, own: Float[Tensor, "b n"]) -> Float[Tensor, "B s"]:
        """All processes' rows in this process's share of the columns."""
        if self.group is None:
            return own
        shares = own.tensor_split(len(self.sizes), dim=1)
        width = shares[self.rank].shape[1]
        received = own.new_empty(sum(self.sizes) * width)
        dist.all_to_all_single(
            received,
            torch.cat([share.reshape(-1) for share in shares]),
            [size * width for size in self.sizes],
            [share.numel() for share in shares],
            group=self.group,
        )
        return received.view(-1, width)

    def summed(self, values: Tensor) -> Tensor:
        """The sum over processes, in place."""
        if self.group is not None:
            dist.all_reduce(values, group=self.group)
        return values

    def largest(self, values: Tensor) -> Tensor:
        """The largest of the processes' values, in place."""
        if self.group is not None:
            dist.all_reduce(values, dist.ReduceOp.MAX, group=self.group)
        return values

    def weights(self, weights: Weights | None) -> Weights | None:
        """The weights of this process's utterances, from the losses of all processes.

        A tensor has this process's weights already. The mean over all utterances differs from the
        mean of the processes' means.
        """
        if self.group is None or isinstance(weights, Tensor):
            return weights

        def of_all(own: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
            together = self.with_utterances(len(own), own.device)
            return together.mine(resolve_weights(weights, together.joined(own)))

        return of_all

"""Several processes, each with some of the utterances, one step.

K needs the products between utterances of different processes too, so adding up each process's own
K would be wrong. Rows are exchanged instead, a range at a time: each process receives one share of
the columns of everybody's rows (all-to-all), and the products over the shares are summed.
"""

from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.types import Weights
from asr_unlearn.gradients.weights import resolve_weights


@dataclass(frozen=True)
class Processes:
    """The processes that take a step together; without a group it is this one alone."""

    group: dist.ProcessGroup | None
    sizes: list[int] = field(default_factory=list)
    """How many retain utterances each process has, in the order of ranks."""

    @property
    def rank(self) -> int:
        """This process among them."""
        return 0 if self.group is None else dist.get_rank(self.group)

    def with_utterances(self, own: int, device: torch.device) -> "Processes":
        """The same processes, knowing how many utterances each has; this one has `own`."""
        if self.group is None:
            return Processes(None, [own])
        counts = torch.zeros(dist.get_world_size(self.group), dtype=torch.long, device=device)
        counts[self.rank] = own
        dist.all_reduce(counts, group=self.group)
        return Processes(self.group, counts.tolist())

    def mine(self, values: Float[Tensor, " B"]) -> Float[Tensor, " b"]:
        """This process's part of a vector over all utterances."""
        return torch.split(values, self.sizes)[self.rank]

    def everyones(self, values: Float[Tensor, " b"]) -> Float[Tensor, " B"]:
        """A vector over this process's utterances, joined with those of the others."""
        whole = values.new_zeros(sum(self.sizes))
        self.mine(whole).copy_(values)
        return self.summed(whole)

    def columns(self, values: Float[Tensor, "*b n"]) -> Float[Tensor, "*b s"]:
        """This process's share of the columns."""
        return values.tensor_split(len(self.sizes), dim=-1)[self.rank]

    def rows(self, own: Float[Tensor, "b n"]) -> Float[Tensor, "B s"]:
        """Everybody's rows in this process's share of the columns."""
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

    def weights(self, weights: Weights | None) -> Weights | None:
        """Weights that see the losses of all processes; a tensor is this process's own part.

        The mean over all utterances is not the mean of the processes' means.
        """
        if self.group is None or isinstance(weights, Tensor):
            return weights

        def of_all(own: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
            together = self.with_utterances(len(own), own.device)
            return together.mine(resolve_weights(weights, together.everyones(own)))

        return of_all

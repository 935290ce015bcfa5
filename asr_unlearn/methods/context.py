"""What a method works with: the context of a run, and one step of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from asr_unlearn.data.batching import Batch, BatchSource
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import (
    Gradient,
    Losses,
    MicroBatches,
    Weights,
    diagonal_fisher,
    weighted_gradient,
)
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.distributed import gathered

Batches = Batch | MicroBatches[Batch]


@dataclass(frozen=True)
class TrainingContext:
    """What stays the same from the first step to the last.

    Attributes:
        task: the model that learns or forgets, and how its utterances are encoded and scored.
        sources: the batches of each part that the method needs.
        steps_per_epoch: steps an epoch.
        total: steps at most; the stop rule may end the run sooner.
        difficulty: how much higher a stranger's loss would be, were strangers as hard to recognise
            as the forget speakers (see `strangers`).
        group: the processes that take each step together, None for one. Each has its own share
            of every batch.
    """

    task: Task
    sources: Mapping[Part, BatchSource]
    steps_per_epoch: int
    total: int
    seed: int
    difficulty: float = 1.0
    group: ProcessGroup | None = None

    @property
    def model(self) -> nn.Module:
        return self.task.model

    def one_epoch(self, part: Part) -> Iterator[Batch]:
        """Every utterance of a part once."""
        source = self.sources[part]
        return (source[step] for step in range(source.steps_per_epoch))

    def gradient(
        self,
        batch: Batches,
        weights: Weights | None = None,
        losses: Losses[Batch] | None = None,
    ) -> tuple[Gradient, Float[Tensor, " B"]]:
        """Σ wᵢ gᵢ of the task's losses, or of others; and this process's losses, detached.

        `weights` default to the mean; a function of the losses sees those of all processes.
        """
        return weighted_gradient(
            self.model, losses or self.task.losses, batch, weights, group=self.group
        )

    def losses(self, part: Part) -> dict[str, float]:
        """The loss of each of a part's utterances, by id, by the model as it stands."""
        own: list[tuple[str, float]] = []
        with torch.no_grad():
            for batch in self.one_epoch(part):
                own += zip(batch.ids, self.task.losses(batch).tolist(), strict=True)
        return dict(gathered(own))

    def mean_loss(self, part: Part) -> float:
        """The mean loss of a part's utterances, by the model as it stands."""
        losses = self.losses(part).values()
        return sum(losses) / len(losses)

    def unseen_loss(self) -> float:
        """What the forget speakers' mean loss would be, had the model never met them."""
        return self.difficulty * self.mean_loss("unseen")

    def fisher(self, part: Part, batches: int | None = None) -> Gradient:
        """The diagonal Fisher information of a part, or of its first batches."""
        source = self.sources[part]
        count = min(batches or source.steps_per_epoch, source.steps_per_epoch)
        drawn = (source[step] for step in range(count))
        return diagonal_fisher(self.model, self.task.losses, drawn, group=self.group)


@dataclass(frozen=True)
class Step:
    """One step of a run; its batches are drawn when they are asked for, and only then."""

    context: TrainingContext
    number: int
    draw: Callable[[Part], Batches]

    @property
    def model(self) -> nn.Module:
        return self.context.model

    @property
    def losses(self) -> Losses[Batch]:
        """One differentiable loss per utterance of a batch."""
        return self.context.task.losses

    @property
    def epoch(self) -> int:
        return self.number // self.context.steps_per_epoch

    @property
    def done(self) -> float:
        """Share of all steps that lie behind, from 0."""
        return self.number / self.context.total

    @cached_property
    def forget(self) -> Batches:
        return self.draw("forget")

    @cached_property
    def retain(self) -> Batches:
        return self.draw("retain")

    def gradient(
        self,
        batch: Batches,
        weights: Weights | None = None,
        losses: Losses[Batch] | None = None,
    ) -> tuple[Gradient, Float[Tensor, " B"]]:
        """As `TrainingContext.gradient`."""
        return self.context.gradient(batch, weights, losses)

"""What a method works with: the context of a training run, and one step of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
    pieces_of,
    weighted_gradient,
)
from asr_unlearn.gradients.types import resolve_weights
from asr_unlearn.methods.step_length import StepLength
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.distributed import gathered, gathered_tensor

Batches = Batch | MicroBatches[Batch]


def in_one(batches: Sequence[Batch]) -> Batches:
    """What is one batch in a step, though it may be several in memory."""
    return batches[0] if len(batches) == 1 else MicroBatches(batches)


@dataclass(frozen=True)
class TrainingContext:
    """What stays the same from the first step to the last.

    Attributes:
        task: the model that is trained, its inputs and its losses.
        sources: the batches of each part that the method needs.
        steps_per_epoch: steps an epoch.
        total: largest number of steps; early stopping may end the run sooner.
        difficulty: ratio of the forget speakers' loss to the unseen speakers', were neither
            trained on (see `stop_target`).
        group: the processes that take each step together, None for one. Each has its own share
            of every batch.
        known: losses of the original model that were measured beforehand, by part and id.
        base: trainable weights of the model that the original was fine-tuned from, for methods
            that need it.
    """

    task: Task
    sources: Mapping[Part, BatchSource]
    steps_per_epoch: int
    total: int
    seed: int
    difficulty: float = 1.0
    group: ProcessGroup | None = None
    known: Mapping[Part, Mapping[str, float]] = field(default_factory=dict)
    base: Gradient = field(default_factory=dict)

    @property
    def model(self) -> nn.Module:
        return self.task.model

    def one_epoch(self, part: Part) -> Iterator[Batch]:
        """Every utterance of a part once, in batches that one pass takes."""
        source = self.sources[part]
        return (b for step in range(source.steps_per_epoch) for b in source.pieces(step))

    def gradient(
        self,
        batch: Batches,
        weights: Weights | None = None,
        losses: Losses[Batch] | None = None,
    ) -> tuple[Gradient, Float[Tensor, " B"]]:
        """Σ wᵢ gᵢ over the utterances of all processes, and this process's losses, detached.

        Args:
            weights: w, or a function of the losses of all processes that gives them; 1/B by
                default.
            losses: what gᵢ are the gradients of; the task's own by default.
        """
        return weighted_gradient(
            self.model, losses or self.task.losses, batch, weights, group=self.group
        )

    def losses(self, part: Part) -> dict[str, float]:
        """The current loss of each utterance of a part, by id."""
        own: list[tuple[str, float]] = []
        with torch.no_grad():
            for batch in self.one_epoch(part):
                own += zip(batch.ids, self.task.losses(batch).tolist(), strict=True)
        return dict(gathered(own))

    def original_losses(self, part: Part) -> Mapping[str, float]:
        """The original model's loss of each utterance of a part; for `prepare`."""
        return self.known.get(part) or self.losses(part)

    def mean_loss(self, part: Part) -> float:
        """The current mean loss of a part's utterances."""
        losses = self.losses(part).values()
        return sum(losses) / len(losses)

    def unseen_loss(self) -> float:
        """The mean loss to be expected of the forget speakers, had they not been trained on."""
        return self.difficulty * self.mean_loss("unseen")

    def fisher(self, part: Part, batches: int | None = None) -> Gradient:
        """The diagonal Fisher information of a part, or of its first batches."""
        source = self.sources[part]
        count = min(batches or source.steps_per_epoch, source.steps_per_epoch)
        drawn = (batch for step in range(count) for batch in source.pieces(step))
        return diagonal_fisher(self.model, self.task.losses, drawn, group=self.group)


@dataclass(frozen=True)
class Step:
    """One step of a run.

    Attributes:
        number: from 0.
        draw: gives the next batch of a part; `batch` calls it once a part.
        step_length: of a method without a learning rate.
    """

    context: TrainingContext
    number: int
    draw: Callable[[Part], Batches]
    step_length: StepLength | None = None
    _drawn: dict[Part, Batches] = field(default_factory=dict, init=False, repr=False)

    @property
    def model(self) -> nn.Module:
        return self.context.model

    @property
    def length(self) -> StepLength:
        """The step length, of a method without a learning rate."""
        assert self.step_length is not None
        return self.step_length

    def wanted_rise(self, losses: Float[Tensor, " B"], weights: Weights | None) -> float:
        """The rise of Σ wᵢ ℓᵢ over the forget batch that the step is to give.

        Args:
            losses: of this process's forget utterances.
            weights: w, for the utterances of all processes; 1/B by default.
        """
        everyones, ids = gathered_tensor(losses), self.ids("forget")
        epoch = self.number / self.context.sources["forget"].steps_per_epoch
        return self.length.rise(ids, everyones, resolve_weights(weights, everyones), epoch)

    def ids(self, part: Part) -> list[str]:
        """Those of this step's utterances of a part, of all processes."""
        return gathered([name for batch in pieces_of(self.batch(part)) for name in batch.ids])

    @property
    def done(self) -> float:
        """Share of all steps that were taken before this one."""
        return self.number / self.context.total

    def batch(self, part: Part) -> Batches:
        """This step's batch of a part, drawn at the first call."""
        if part not in self._drawn:
            self._drawn[part] = self.draw(part)
        return self._drawn[part]

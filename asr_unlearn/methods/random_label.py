"""Learn wrong transcripts for the forget utterances."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import MicroBatches
from asr_unlearn.methods.context import Batches, Step, TrainingContext
from asr_unlearn.methods.method import Direction, Method
from asr_unlearn.runtime.errors import InputError

Targets = dict[str, Int[Tensor, " labels"]]


def foreign_targets(context: TrainingContext) -> Targets:
    """A target for each forget utterance: another speaker's transcript, or a wrong class.

    Each is another transcript of the retain set, as long as there are enough, or the class of
    another retain utterance; it says something else than the utterance does, and fits into its
    length.

    Raises:
        ValueError: no retain utterance has such a target.
    """
    task, forget = context.task, context.sources["forget"]
    others = context.sources["retain"].utterances
    order = np.random.default_rng(context.seed).permutation(len(others))
    pool = [task.target(others[i]) for i in order]
    if not task.one_label:
        # What many people say would otherwise be drawn many times.
        pool = list({tuple(target.tolist()): target for target in pool}.values())
    drawn: Targets = {}
    for utterance in forget.utterances:
        example = forget.example(utterance)
        fitting = (
            i
            for i, target in enumerate(pool)
            if not torch.equal(target, example.target) and task.fits(target, example.samples)
        )
        chosen = next(fitting, None)
        if chosen is None:
            raise InputError(
                f"no retain utterance's transcript differs from {utterance.id}'s and fits it"
            )
        # To the end of the queue, so that the next utterance gets another one.
        drawn[utterance.id] = pool.pop(chosen)
        pool.append(drawn[utterance.id])
    return drawn


def relabelled(batches: Batches, targets: Targets) -> Batches:
    """The same utterances with these targets."""
    if isinstance(batches, MicroBatches):
        return MicroBatches([_relabelled(batch, targets) for batch in batches.pieces])
    return _relabelled(batches, targets)


def _relabelled(batch: Batch, targets: Targets) -> Batch:
    device = batch.inputs.device
    chosen = [targets[name].to(device) for name in batch.ids]
    pad = torch.nn.utils.rnn.pad_sequence
    return replace(
        batch,
        targets=pad(chosen, batch_first=True, padding_value=-100),
        target_lengths=torch.tensor([len(target) for target in chosen], device=device),
    )


@dataclass(kw_only=True)
class RandomLabel(Method):
    """Minimise α·ℓ_R + (1 − α)·ℓ_F with wrong targets for F (RL; arXiv 1911.04933).

    The targets are drawn once: transcripts of other speakers, a different text for each utterance.

    Attributes:
        alpha: share of the retain batch.
    """

    name: ClassVar[str] = "random_label"
    paper: ClassVar[str] = "arXiv 1911.04933"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 2e-4
    clip: float = 1.0
    retain_batch: int = 16
    alpha: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("from 0 to 1", "alpha")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.5, 0.99)}

    def prepare(self, context: TrainingContext) -> None:
        self._targets = foreign_targets(context)

    def direction(self, step: Step) -> Direction:
        wrong, _ = step.gradient(relabelled(step.forget, self._targets))
        down, retain = step.gradient(step.retain)
        gradient = {n: self.alpha * down[n] + (1 - self.alpha) * wrong[n] for n in wrong}
        # The loss of the wrong targets falls; it says nothing of forgetting, and is not logged.
        return Direction(gradient, {"retain": retain})

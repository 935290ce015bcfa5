"""Training on wrong transcripts of the forget utterances."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Losses
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Share
from asr_unlearn.runtime.errors import InputError

Targets = dict[str, Int[Tensor, " labels"]]


def wrong_targets(context: TrainingContext) -> Targets:
    """A wrong target for each forget utterance, by id: a transcript or class of the retain set.

    A target differs from the utterance's own and fits its length. Transcripts are not drawn twice
    as long as there are enough.

    Raises:
        InputError: no retain utterance has such a target.
    """
    task, forget = context.task, context.sources["forget"]
    others = context.sources["retain"].utterances
    order = np.random.default_rng(context.seed).permutation(len(others))
    pool = [task.target(others[i]) for i in order]
    if not task.one_label:
        # A common transcript would otherwise be drawn many times.
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
        # To the end of the queue: the next utterance gets another one.
        drawn[utterance.id] = pool.pop(chosen)
        pool.append(drawn[utterance.id])
    return drawn


def relabelled(batch: Batch, targets: Targets) -> Batch:
    """The batch with these targets."""
    device = batch.inputs.device
    chosen = [targets[name].to(device) for name in batch.ids]
    pad = torch.nn.utils.rnn.pad_sequence
    return replace(
        batch,
        targets=pad(chosen, batch_first=True, padding_value=-100),
        target_lengths=torch.tensor([len(target) for target in chosen], device=device),
    )


def wrong_losses(context: TrainingContext) -> Losses[Batch]:
    """The task's losses of forget utterances, with the targets of `wrong_targets`."""
    task, targets = context.task, wrong_targets(context)
    return lambda batch: task.losses(relabelled(batch, targets))


@dataclass(kw_only=True)
class RandomLabel(Method):
    """Minimise α·ℓ_R + (1 − α)·ℓ_F with wrong targets for F (RL; arXiv 1911.04933).

    The targets are drawn once: transcripts of other speakers, a different text for each utterance.
    The loss of the wrong targets is not logged: it falls, and does not measure forgetting.

    Attributes:
        alpha: α, share of the retain batch.
    """

    name: ClassVar[str] = "random_label"
    paper: ClassVar[str] = "arXiv 1911.04933"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")
    shardable: ClassVar[bool] = True

    lr: Positive = 2e-4
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    alpha: Share = 0.95

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.5, 0.99)}

    def prepare(self, context: TrainingContext) -> None:
        self._wrong = wrong_losses(context)

    def loss(self, step: Step) -> Loss:
        return [
            Term("forget", 1 - self.alpha, self._wrong, logged=False),
            Term("retain", self.alpha),
        ]

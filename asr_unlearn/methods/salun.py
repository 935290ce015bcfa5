"""Wrong transcripts, learned by the salient weights only."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from asr_unlearn.gradients import Gradient
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.method import Direction
from asr_unlearn.methods.random_label import RandomLabel


@dataclass(kw_only=True)
class SalUn(RandomLabel):
    """RL on the weights with the largest forget gradient (SalUn; Fan et al., arXiv 2310.12508).

    Saliency is the magnitude of the mean forget loss' gradient at the original model. The weights
    that may move are those of the highest rank, all tensors together; of weights that are alike
    the first, in the model's order, so that it is the share that was asked for and no more. The
    optimizer has no weight decay, so that what is masked does not move at all.

    Attributes:
        share: of the weights that may move.
    """

    name: ClassVar[str] = "salun"
    paper: ClassVar[str] = "arXiv 2310.12508"

    share: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("from 0 to 1", "share")

    def prepare(self, context: TrainingContext) -> None:
        super().prepare(context)
        mean: Gradient = {}
        utterances = context.sources["forget"].utterances
        for batch in context.one_epoch("forget"):
            weights = torch.full((len(batch.ids),), 1 / len(utterances))
            gradient, _ = context.gradient(batch, weights)
            for name, g in gradient.items():
                mean[name] = mean[name].add_(g) if name in mean else g
        saliency = torch.cat([g.abs().flatten() for g in mean.values()])
        kept = max(1, round(self.share * len(saliency)))
        threshold = saliency.kthvalue(len(saliency) - kept + 1).values
        chosen = saliency > threshold
        alike = (saliency == threshold).nonzero()[:, 0]
        chosen[alike[: kept - int(chosen.sum())]] = True
        pieces = chosen.split([g.numel() for g in mean.values()])
        self._mask = {n: piece.view_as(mean[n]) for n, piece in zip(mean, pieces, strict=True)}

    def direction(self, step: Step) -> Direction:
        found = super().direction(step)
        masked = {name: g * self._mask[name] for name, g in found.gradient.items()}
        return Direction(masked, found.losses)

"""Training of the salient weights alone on wrong transcripts."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients import Gradient
from asr_unlearn.methods.context import Step, TrainingContext, in_one
from asr_unlearn.methods.direction import Direction
from asr_unlearn.methods.option_types import Share
from asr_unlearn.methods.random_label import RandomLabel


@dataclass(kw_only=True)
class SalUn(RandomLabel):
    """RL on the weights with the largest forget gradient (SalUn; Fan et al., arXiv 2310.12508).

    Saliency is the magnitude of the mean forget loss' gradient at the original model. The most
    salient weights of all tensors together are trained; of equally salient ones the first in the
    model's order, so that the share is exact. The optimizer has no weight decay, so that masked
    weights do not change.

    Attributes:
        share: of the weights, to be trained.
    """

    name: ClassVar[str] = "salun"
    paper: ClassVar[str] = "arXiv 2310.12508"
    projectable: ClassVar[bool] = False
    shardable: ClassVar[bool] = False

    share: Share = 0.5

    def prepare(self, context: TrainingContext) -> None:
        super().prepare(context)
        mean: Gradient = {}
        source = context.sources["forget"]
        count = len(source.utterances)

        def share(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            return torch.full_like(losses, 1 / count)

        for number in range(source.steps_per_epoch):
            # All processes sum as many gradients, into however many pieces their shares are cut.
            gradient, _ = context.gradient(in_one(source.pieces(number)), share)
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
        return super().direction(step).masked(self._mask)

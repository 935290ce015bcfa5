"""OrthoGrad that decides utterance by utterance when enough is forgotten."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, Weights, pieces_of
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.distillation import divergence_from, frozen_copy
from asr_unlearn.methods.method import Direction
from asr_unlearn.methods.orthograd import OrthoGrad
from asr_unlearn.runtime.distributed import gathered

# What a loss is at least, lest one next to nothing has all the weight.
SMALL = 1e-3
# A step so many times as long as was usual is a leap: of 284 steps, on AN4 and Speech Commands, one
# was 43 times as long as the median of the 32 before it, and no other more than 5.4 times.
LEAP, USUAL, FEWEST = 6.0, 32, 8


@dataclass(kw_only=True)
class OrthoGradTau(OrthoGrad):
    """The union of OrthoGrad, ∇τ and SFR-on.

    Of utterance i, at loss ℓᵢ, u ascends −½·ReLU(τᵢ^(1−λ) − ℓᵢ^(1−λ))² with λ = `power`: ∇τ's loss
    (arXiv 2403.14339) for each utterance by itself, taken on a scale of losses on which its
    gradient has SFR-on's weight ℓᵢ^(−λ) (arXiv 2409.19732). The weights are normalised over the
    batch. A gate of ReLU(1 − ℓᵢ/τᵢ) would raise everybody's loss at once: too many utterances get a
    wrong word each, and where a few strangers are hard the mean never reaches theirs.

    The step is OrthoGrad's (arXiv 2503.02312): u less its projection onto the gradients of the
    retain utterances' losses, in the metric of the step, and a share of descent. What descends is
    not those losses but KL(original ‖ model) on the same utterances, which undoes what a step has
    changed and no more. To descend on losses that are next to nothing makes the model surer of
    all it says: people it has never met are misheard more often, and the forgotten have a
    stranger's loss before they have a stranger's errors.

    A leap is shortened to the usual length, and stays orthogonal: where D is next to nothing, one
    retain utterance that is badly recognised can make a correction without bounds.

    Were τ the same for all, the forget losses would crowd below it, which no stranger's do, and an
    attacker who knows the method could look for that. τᵢ follows the loss of the unseen utterance
    of the same rank, both parts sorted by the original model's loss: of all ways to give the forget
    set the strangers' distribution of losses the one that changes single losses least.

    Attributes:
        target: of each utterance's loss, as a multiple of a stranger's of the same rank.
        power: how much less the utterances count that are already forgotten, from 0 to below 1.
    """

    name: ClassVar[str] = "orthograd_tau"
    paper: ClassVar[str] = "arXiv 2503.02312 + 2403.14339 + 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")

    lr: float = 2e-3
    alpha: float = 0.8
    target: float = 1.6
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("above 0", "target")
        self.demand("from 0 to below 1", "power")
        self._lengths: list[float] = []

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "target": (1.0, 2.5), "power": (0.0, 0.9)}

    def prepare(self, context: TrainingContext) -> None:
        super().prepare(context)
        self._from_original = divergence_from(frozen_copy(context.task), context.task)
        scale = self.target * context.difficulty
        strangers = [scale * loss for loss in context.losses("unseen").values()]
        self._targets = of_the_same_rank(context.losses("forget"), strangers)

    def direction(self, step: Step) -> Direction:
        retain, _ = step.gradient(step.retain, losses=self._from_original)
        self._retain = retain
        found = self._both(self._orthogonal_step(step), retain)
        return replace(found, gradient=self._without_leap(found.gradient))

    def _without_leap(self, gradient: Gradient) -> Gradient:
        """The gradient, shortened to the median length of those before it if it is a leap."""
        length = math.sqrt(
            sum(float(g.square().sum(dtype=torch.float64)) for g in gradient.values())
        )
        before = self._lengths[-USUAL:]
        usual = median(before) if len(before) >= FEWEST else 0.0
        if usual > 0 and length > LEAP * usual:
            gradient = {name: g * (usual / length) for name, g in gradient.items()}
            length = usual
        self._lengths = [*before, length]
        return gradient

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "lengths": self._lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._lengths = state["lengths"]

    def forget_weights(self, step: Step) -> Weights:
        ids = gathered([name for batch in pieces_of(step.forget) for name in batch.ids])

        def weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            targets = SMALL + losses.new_tensor([self._targets[name] for name in ids])
            losses = SMALL + losses.clamp(min=0)
            lacking = targets ** (1 - self.power) - losses ** (1 - self.power)
            found = lacking.clamp(min=0) * losses**-self.power
            # All at their target: nothing to ascend, and nothing to normalise.
            return found / found.sum().clamp(min=1e-12)

        return weights


def of_the_same_rank(losses: Mapping[str, float], strangers: Sequence[float]) -> dict[str, float]:
    """For each loss that of the stranger at the same quantile, positive, linearly interpolated."""
    ranked = sorted(losses, key=lambda name: (losses[name], name))
    quantiles = np.quantile(strangers, (np.arange(len(ranked)) + 0.5) / len(ranked))
    return {name: max(float(q), 1e-6) for name, q in zip(ranked, quantiles, strict=True)}

"""OrthoGrad with a target loss for each forget utterance."""

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, Weights, pieces_of
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.distillation import divergence_from, frozen_copy
from asr_unlearn.methods.method import Direction
from asr_unlearn.methods.option_types import Positive, Rate, Share, ShareBelowOne
from asr_unlearn.methods.orthograd import OrthoGrad
from asr_unlearn.runtime.distributed import gathered

# Added to losses, so that one near 0 does not take all the weight.
SMALL = 1e-3
# A step is shortened if it is LEAP times as long as the median of the last USUAL steps, of which
# there must be FEWEST. Of 284 steps on AN4 and Speech Commands, one was 43 times as long as that
# median, and no other more than 5.4 times.
LEAP, USUAL, FEWEST = 6.0, 32, 8


@dataclass(kw_only=True)
class OrthoGradTau(OrthoGrad):
    """OrthoGrad combined with ∇τ and SFR-on.

    The forget gradient u ascends Σ −½·ReLU(τᵢ^(1−λ) − ℓᵢ^(1−λ))² with λ = `power`: ∇τ's loss
    (arXiv 2403.14339) for each utterance by itself, on a scale of losses where its gradient has
    SFR-on's weight ℓᵢ^(−λ) (arXiv 2409.19732). The weights are normalised over the batch. A weight
    of ReLU(1 − ℓᵢ/τᵢ) would raise all losses at once: too many utterances get one wrong word, and
    where a few unseen utterances are hard, the mean never reaches the target.

    The step is OrthoGrad's (arXiv 2503.02312): u minus its projection onto the gradients of the
    retain utterances' losses, in the metric of the step, and a share of descent. It descends not
    those losses but KL(original ‖ model) on the same utterances, which only reverts what a step has
    changed. Descent on losses near 0 makes the model more confident everywhere: unseen speakers get
    a higher error rate, and forget speakers reach the loss of unseen speakers before they reach
    their error rate.

    A step much longer than usual is shortened to the usual length, and stays orthogonal: where D is
    near 0, one badly recognised retain utterance can give an unbounded correction.

    With one τ for all, the forget losses would crowd below it, unlike those of unseen speakers, and
    a membership inference attack could use that. τᵢ is therefore the scaled loss of the unseen
    utterance of the same rank, with both parts sorted by the original model's loss: of all ways to
    give the forget set the distribution of unseen losses, this one changes single losses least.

    Attributes:
        target: τᵢ, as a multiple of the expected loss of an unseen utterance of the same rank.
        power: λ; the larger, the less an utterance with a high loss counts.
    """

    name: ClassVar[str] = "orthograd_tau"
    paper: ClassVar[str] = "arXiv 2503.02312 + 2403.14339 + 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")

    lr: Rate = 2e-3
    alpha: Share = 0.8
    target: Positive = 1.6
    power: ShareBelowOne = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lengths: list[float] = []

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "target": (1.0, 2.5), "power": (0.0, 0.9)}

    def prepare(self, context: TrainingContext) -> None:
        super().prepare(context)
        self._from_original = divergence_from(frozen_copy(context.task), context.task)
        self._targets = self.forget_targets(context)

    def forget_targets(self, context: TrainingContext) -> dict[str, float]:
        expected = super().forget_targets(context)
        return {name: self.target * loss for name, loss in expected.items()}

    def direction(self, step: Step) -> Direction:
        # The metric includes this gradient, which it divides.
        self._retain, _ = step.context.gradient(step.batch("retain"), losses=self._from_original)
        found = self._orthogonal_step(step)
        made = self._combined(found, self._retain)
        if self.lr == "auto":
            return self._with_ascent(made, found, step)
        return replace(made, gradient=self._without_leap(made.gradient))

    def _without_leap(self, gradient: Gradient) -> Gradient:
        """The gradient, shortened to the median length of the last ones if it is a leap."""
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
        ids = gathered([name for batch in pieces_of(step.batch("forget")) for name in batch.ids])

        def weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            targets = SMALL + losses.new_tensor([self._targets[name] for name in ids])
            losses = SMALL + losses.clamp(min=0)
            gap = targets ** (1 - self.power) - losses ** (1 - self.power)
            found = gap.clamp(min=0) * losses**-self.power
            # The sum is 0 when all losses are at their targets.
            return found / found.sum().clamp(min=1e-12)

        return weights

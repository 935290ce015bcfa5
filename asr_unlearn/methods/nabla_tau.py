"""Ascent until the forget loss is that of unseen speakers, with a share that falls to 0."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction, Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import Positive, PositiveInt, Rate

# Passes over the forget set after which the target is measured again, as in the authors' code.
PASSES_A_TARGET = 5


@dataclass(kw_only=True)
class NablaTau(Method):
    """Minimise α·ReLU(target − mean ℓ_F)² + (1 − α)·mean ℓ_R (∇τ; Trippa et al., arXiv 2403.14339).

    The target is the loss of unseen speakers, measured again after every 5 passes over the forget
    set, as in the authors' code; an epoch is a pass over the retain set. α starts at
    min(1, 5/3·|F|/|F ∪ R|) and falls linearly to 0, so there is nothing to tune. The square is
    outside the ReLU: a forget loss above the target gives no gradient.

    Deviation: as for all methods, the target is scaled to unseen speakers who are as hard to
    recognise as the forget speakers.
    """

    name: ClassVar[str] = "nabla_tau"
    paper: ClassVar[str] = "arXiv 2403.14339"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")
    epoch_part: ClassVar[Part] = "retain"
    shardable: ClassVar[bool] = True

    lr: Rate = 1e-3
    epochs: Positive = 4.0
    retain_batch: PositiveInt = 16

    def forget_targets(self, context: TrainingContext) -> dict[str, float]:
        return dict.fromkeys(context.original_losses("forget"), self._target)

    def prepare(self, context: TrainingContext) -> None:
        forget, retain = (len(context.sources[part].utterances) for part in ("forget", "retain"))
        self._alpha = min(1.0, 5 / 3 * forget / (forget + retain))
        self._target = context.unseen_loss()

    def direction(self, step: Step) -> Direction:
        interval = PASSES_A_TARGET * step.context.sources["forget"].steps_per_epoch
        if step.number and step.number % interval == 0:
            self._target = step.context.unseen_loss()
        return super().direction(step)

    def loss(self, step: Step) -> Loss:
        alpha = self._alpha * (1 - step.done)

        def slope(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            """The derivative of α·ReLU(target − mean ℓ)² with respect to each loss."""
            gap = (self._target - losses.mean()).clamp(min=0)
            return torch.full_like(losses, -2 * alpha / len(losses)) * gap

        return [Term("forget", weights=slope), Term("retain", 1 - alpha)]

    def state_dict(self) -> dict[str, float]:
        return {"target": self._target}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._target = state["target"]

"""Ascend until the forget loss is a stranger's, with a share that fades out."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.method import Direction, Method

# The target is measured anew after so many passes over the forget set, as in the authors' code.
PASSES_A_TARGET = 5


@dataclass(kw_only=True)
class NablaTau(Method):
    """Minimise α·ReLU(target − mean ℓ_F)² + (1 − α)·mean ℓ_R (∇τ; Trippa et al., arXiv 2403.14339).

    The target is the loss of unseen speakers, measured anew after every 5 passes over the forget
    set, as in the authors' code; an epoch here is a pass over the retain set, in which there are
    many of those. α starts at min(1, 5/3·|F|/|F ∪ R|) and falls linearly to 0: there is nothing
    to tune. The square is outside the ReLU, so that a forget loss above the target is left alone.

    Deviation: the target is, as for all methods, that of unseen speakers as hard to recognise as
    the forget speakers, not the unseen speakers' own loss.
    """

    name: ClassVar[str] = "nabla_tau"
    paper: ClassVar[str] = "arXiv 2403.14339"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")
    epoch_part: ClassVar[Part] = "retain"

    lr: float = 1e-3
    epochs: float = 4.0
    retain_batch: int = 16

    def prepare(self, context: TrainingContext) -> None:
        forget, retain = (len(context.sources[part].utterances) for part in ("forget", "retain"))
        self._alpha = min(1.0, 5 / 3 * forget / (forget + retain))
        self._target = context.unseen_loss()

    def direction(self, step: Step) -> Direction:
        interval = PASSES_A_TARGET * step.context.sources["forget"].steps_per_epoch
        if step.number and step.number % interval == 0:
            self._target = step.context.unseen_loss()
        alpha = self._alpha * (1 - step.done)

        def slope(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            """The derivative of α·ReLU(target − mean ℓ)² with respect to each loss."""
            gap = (self._target - losses.mean()).clamp(min=0)
            return torch.full_like(losses, -2 * alpha / len(losses)) * gap

        up, forget = step.gradient(step.forget, slope)
        down, retain = step.gradient(step.retain)
        gradient = {name: up[name] + (1 - alpha) * down[name] for name in up}
        return Direction(gradient, {"forget": forget, "retain": retain})

    def state_dict(self) -> dict[str, float]:
        return {"target": self._target}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._target = state["target"]

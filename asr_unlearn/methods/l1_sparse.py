"""Fine-tuning on the retain set with a penalty that makes the weights sparse."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Loss, Penalty
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.option_types import NonNegative


@dataclass(kw_only=True)
class L1Sparse(Finetune):
    """Minimise ℓ_R + λ_t·‖θ‖₁ with λ_t falling linearly to 0 (Jia et al., arXiv 2304.04934).

    Attributes:
        lam: λ at the start.
    """

    name: ClassVar[str] = "l1_sparse"
    paper: ClassVar[str] = "arXiv 2304.04934"

    lam: NonNegative = 1e-4

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "lam": (1e-6, 1e-2)}

    def loss(self, step: Step) -> Loss:
        lam = self.lam * (1 - step.done)
        return [*super().loss(step), Penalty(lambda _, weight: lam * weight.sign())]

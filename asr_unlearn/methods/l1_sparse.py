"""Fine-tune on the retain set while small weights are pulled to zero."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.method import Direction


@dataclass(kw_only=True)
class L1Sparse(Finetune):
    """Minimise ℓ_R + λ_t·‖θ‖₁ with λ_t falling linearly to 0 (Jia et al., arXiv 2304.04934).

    Attributes:
        lam: λ at the start.
    """

    name: ClassVar[str] = "l1_sparse"
    paper: ClassVar[str] = "arXiv 2304.04934"

    lam: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("0 or more", "lam")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "lam": (1e-6, 1e-2)}

    def direction(self, step: Step) -> Direction:
        found = super().direction(step)
        lam = self.lam * (1 - step.done)
        weights = trainable_parameters(step.model)
        gradient = {n: g + lam * weights[n].detach().sign() for n, g in found.gradient.items()}
        return Direction(gradient, found.losses)

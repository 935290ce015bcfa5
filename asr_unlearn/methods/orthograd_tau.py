"""OrthoGrad that decides utterance by utterance when enough is forgotten."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from asr_unlearn.methods.course import Course, Part
from asr_unlearn.methods.orthograd import OrthoGrad


@dataclass(kw_only=True)
class OrthoGradTau(OrthoGrad):
    """The union of OrthoGrad, ∇τ and SFR-on.

    u is the gradient of a weighted mean of the forget losses. Utterance i has the weight
    ReLU(1 − ℓᵢ/target)·(ℓᵢ + 0.001)^(−power), normalised over the batch: ∇τ's gate (arXiv
    2403.14339), for each utterance by itself, and SFR-on's weight (arXiv 2409.19732). The step is
    OrthoGrad's (arXiv 2503.02312): u less its projection onto the retain utterances' gradients in
    the metric of the step, and a share of descent on them.

    Attributes:
        target: of each utterance's loss, as a multiple of a stranger's mean loss.
        power: how much less the utterances count that are already forgotten.
    """

    name: ClassVar[str] = "orthograd_tau"
    paper: ClassVar[str] = "arXiv 2503.02312 + 2403.14339 + 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")

    alpha: float = 0.5
    target: float = 1.6
    power: float = 0.5

    @classmethod
    def search(cls) -> dict[str, tuple[float, float]]:
        return {**super().search(), "target": (1.0, 2.5), "power": (0.0, 1.0)}

    def begin(self, course: Course) -> None:
        super().begin(course)
        self._target = self.target * course.stranger_loss()

    def forget_weights(self, losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        gate = (1 - losses / self._target).clamp(min=0)
        weights = gate * (losses + 1e-3) ** -self.power
        # All at their target: nothing to ascend, and nothing to normalise.
        return weights / weights.sum().clamp(min=1e-12)

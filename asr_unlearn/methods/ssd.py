"""Dampening of the weights that matter more to the forget set than to the whole set."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, copied, trainable_parameters
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import Positive, PositiveInt


@dataclass(kw_only=True)
class SSD(Method):
    """Selective synaptic dampening (SSD; Foster et al., arXiv 2308.07707).

    A weight with Fisher_F > a·Fisher_all is multiplied by min(λ·Fisher_all/Fisher_F, 1), without
    any training. Fisher_all is that of the retain and the forget set together.

    Deviation: the paper searches for `a` on each model. Here it falls in `levels` geometric steps
    from `weakest` to `strongest`, each of which dampens the original, and early stopping chooses
    one; a value that dampens the same weights as the one before it is not checked. Fisher
    information is the mean of squared per-utterance gradients, where the authors' code squares the
    gradient of a batch's mean.

    Attributes:
        weakest: the `a` to begin with, which dampens least.
        strongest: the `a` to end with, which dampens most.
        lam: λ, the factor of the damping.
        levels: largest number of values of `a`.
    """

    name: ClassVar[str] = "ssd"
    paper: ClassVar[str] = "arXiv 2308.07707"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    # Without training there is no learning rate to schedule: these are no options.
    warmup: ClassVar[float] = 0.0  # type: ignore[misc]
    final_lr: ClassVar[float] = 1.0  # type: ignore[misc]

    lr: Positive = 1.0
    epochs: Positive = 1.0
    weakest: Positive = 100.0
    strongest: Positive = 0.5
    lam: Positive = 1.0
    levels: PositiveInt = 32

    def steps_per_epoch(self, sources: Any) -> int:
        return self.levels

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {"lam": (0.1, 1.0)}

    def rate(self, step: int, total: int) -> float:
        return 1.0

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        before = self._dampened(steps - 2) if steps > 1 else 0
        return self._dampened(steps - 1) != before

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def prepare(self, context: TrainingContext) -> None:
        forget, retain = context.fisher("forget"), context.fisher("retain")
        sizes = {part: len(context.sources[part].utterances) for part in self.needs}
        share = sizes["forget"] / sum(sizes.values())
        self._ratio = {
            name: forget[name] / (share * forget[name] + (1 - share) * g).clamp(min=1e-30)
            for name, g in retain.items()
        }
        self._original = copied(trainable_parameters(context.model))

    def direction(self, step: Step) -> Direction:
        """The current weights minus those of this level; one SGD step of length 1 sets them."""
        selected = self._selected(step.number)
        gradient: Gradient = {}
        for name, weight in trainable_parameters(step.model).items():
            ratio = self._ratio[name]
            factor = torch.where(ratio > selected, (self.lam / ratio).clamp(max=1.0), 1.0)
            gradient[name] = weight.detach() - factor * self._original[name]
        return Direction(gradient, {})

    def _selected(self, level: int) -> float:
        """The `a` of a level."""
        fall: float = (self.strongest / self.weakest) ** (level / max(1, self.levels - 1))
        return self.weakest * fall

    def _dampened(self, level: int) -> int:
        """How many weights a level changes; a later level changes these and perhaps more."""
        bound = max(self._selected(level), self.lam)
        return sum(
            int(((ratio > bound) & (self._original[name] != 0)).sum())
            for name, ratio in self._ratio.items()
        )

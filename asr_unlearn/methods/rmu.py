"""Steer the encoder's states of the forget set to a random direction."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.distillation import frozen_copy
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt
from asr_unlearn.runtime.distributed import gathered


@dataclass(kw_only=True)
class RMU(Method):
    """Misdirect the states of the forget set (RMU; Li et al., arXiv 2403.03218).

    Minimise mean ‖h − c·z‖² over the states of a forget utterance plus α·mean ‖h − h₀‖² over those
    of a retain utterance: h are the encoder's last states, h₀ the original's, z is a random unit
    vector and c its length. What makes words of the states, a decoder or an output layer, stays.

    Deviations: both are divided by the mean ‖h₀‖² of a retain batch, and c is a multiple of its
    root, so that the options do not depend on the model; all of the encoder is trained, not three
    layers.

    Attributes:
        alpha: α, of the retain states.
        steering: c, in root mean squares of the norm of the original's states.
    """

    name: ClassVar[str] = "rmu"
    paper: ClassVar[str] = "arXiv 2403.03218"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Positive = 1e-4
    epochs: Positive = 16.0
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    alpha: NonNegative = 10.0
    steering: Positive = 1.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (1.0, 100.0)}

    def prepare(self, context: TrainingContext) -> None:
        self._task, self._original = context.task, frozen_copy(context.task)
        norms: list[float] = []
        with torch.no_grad():
            for batch in context.sources["retain"].pieces(0):
                states, true = self._original.states(batch)
                norms += states[true].square().sum(-1).tolist()
        self._square = states.new_tensor(gathered(norms)).mean()
        direction = torch.rand(
            states.shape[-1], generator=torch.Generator().manual_seed(context.seed)
        ).to(states)
        self._goal = direction * (self.steering * self._square.sqrt() / direction.norm())

    def loss(self, step: Step) -> Loss:
        return [
            Term("forget", losses=self._misdirected),
            Term("retain", self.alpha, losses=self._kept),
        ]

    def _misdirected(self, batch: Batch) -> Float[Tensor, " B"]:
        states, true = self._task.states(batch)
        return self._mean_square(states - self._goal, true)

    def _kept(self, batch: Batch) -> Float[Tensor, " B"]:
        with torch.no_grad():
            before, _ = self._original.states(batch)
        states, true = self._task.states(batch)
        return self._mean_square(states - before, true)

    def _mean_square(
        self, difference: Float[Tensor, "B T C"], true: Bool[Tensor, "B T"]
    ) -> Float[Tensor, " B"]:
        squares = difference.square().sum(-1).masked_fill(~true, 0.0).sum(1)
        return squares / true.sum(1) / self._square

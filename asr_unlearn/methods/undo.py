"""Noise in all weights, then distillation of the model as it was on the retain set."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import trainable_parameters
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.distillation import divergence_from, frozen_copy, untrained
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, ShareBelowOne
from asr_unlearn.runtime.errors import InputError


@dataclass(kw_only=True)
class UNDO(Method):
    """Noise and distillation, the second half of UNDO (Lee et al., arXiv 2506.06278).

    It is for a model that has forgotten already, by any method: what that method has only hidden
    does not survive noise, and is not in the outputs that are distilled. The weights become
    (1 − α)·θ + α·N, N those of an untrained model; then T²·KL(θ ‖ model) is minimised on the retain
    set. The stop target is reached from the start, so that a run takes all its epochs.

    Deviation: the paper distils on the forget set too; here it is left alone.

    Attributes:
        alpha: α, the share of the noise.
        temperature: T, softens both distributions.

    Raises:
        InputError: a trained parameter is not one of an untrained model, as those of adapters.
    """

    name: ClassVar[str] = "undo"
    paper: ClassVar[str] = "arXiv 2506.06278"
    needs: ClassVar[tuple[Part, ...]] = ("retain",)
    epoch_part: ClassVar[Part] = "retain"
    stops_at_target: ClassVar[bool] = False

    lr: Positive = 3e-4
    warmup: ShareBelowOne = 0.1
    epochs: Positive = 3.0
    clip: NonNegative = 1.0
    retain_batch: PositiveInt = 16
    alpha: ShareBelowOne = 0.1
    temperature: Positive = 1.0

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.02, 0.5)}

    def prepare(self, context: TrainingContext) -> None:
        task = context.task
        noise = dict(untrained(task, context.seed).model.named_parameters())
        self._from_original = divergence_from(frozen_copy(task), task, self.temperature)
        for name, parameter in trainable_parameters(task.model).items():
            if name not in noise:
                raise InputError(
                    f"{self.name} puts noise in all weights, and {name} is not one of an untrained "
                    "model: give a whole model, and no --lora.r"
                )
            with torch.no_grad():
                parameter.lerp_(noise[name], self.alpha)

    def loss(self, step: Step) -> Loss:
        return [Term("retain", losses=self._from_original)]

"""Descent on the retain set: training, retraining, and the baseline that hopes for forgetting."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.method import Direction, Method


@dataclass(kw_only=True)
class Finetune(Method):
    """Minimise the mean per-utterance loss of the retain set with AdamW.

    The very loop that trains the original and retrains without the forget speakers; as an
    unlearning method it is FT, catastrophic forgetting left to itself.
    """

    name: ClassVar[str] = "finetune"
    paper: ClassVar[str] = "baseline FT of arXiv 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("retain",)
    epoch_part: ClassVar[Part] = "retain"
    trains: ClassVar[bool] = True

    lr: float = 3e-4
    warmup: float = 0.1
    final_lr: float = 0.02
    epochs: float = 3.0
    clip: float = 1.0
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("0 or more", "weight_decay")

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            parameters, lr=self.lr, betas=(0.9, 0.98), weight_decay=self.weight_decay
        )

    def direction(self, step: Step) -> Direction:
        gradient, values = step.gradient(step.retain)
        return Direction(gradient, {"retain": values})

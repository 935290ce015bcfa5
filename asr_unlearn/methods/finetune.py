"""Fine-tuning on the retain set: training, retraining, and the plainest unlearning method."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Loss, Term
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, Share
from asr_unlearn.runtime.extras import need_extra


@dataclass(kw_only=True)
class Finetune(Method):
    """Minimise the mean per-utterance loss of the retain set with AdamW.

    The original is trained with it, and the model that is retrained without the forget speakers.
    As an unlearning method it is FT: catastrophic forgetting, with nothing that enforces it.

    Attributes:
        weight_decay: weight decay of AdamW.
        eight_bit: keep the state of AdamW in 8 bits, by bitsandbytes: 2 bytes a trained weight in
            place of 8.

    Raises:
        InputError: an option is outside its range, or bitsandbytes is not installed.
    """

    name: ClassVar[str] = "finetune"
    paper: ClassVar[str] = "baseline FT of arXiv 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("retain",)
    epoch_part: ClassVar[Part] = "retain"
    trains: ClassVar[bool] = True
    shardable: ClassVar[bool] = True

    lr: Positive = 3e-4
    warmup: Share = 0.1
    final_lr: Share = 0.02
    epochs: Positive = 3.0
    clip: NonNegative = 1.0
    weight_decay: NonNegative = 0.01
    eight_bit: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eight_bit:
            need_extra("bitsandbytes", f"{self.name}: eight_bit")

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        options: dict[str, Any] = {
            "lr": self.lr,
            "betas": (0.9, 0.98),
            "weight_decay": self.weight_decay,
        }
        if not self.eight_bit:
            return torch.optim.AdamW(parameters, **options)
        from bitsandbytes.optim.adamw import AdamW8bit

        made: torch.optim.Optimizer = AdamW8bit(parameters, **options)
        return made

    def loss(self, step: Step) -> Loss:
        return [Term(self.epoch_part)]

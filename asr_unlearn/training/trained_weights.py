"""Which weights of a model are changed: all, all but its first layers, a decoder, or adapters."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch

from asr_unlearn.models.adapters import NO_LORA, Lora, add_adapters
from asr_unlearn.models.tasks import Task


@dataclass(frozen=True, kw_only=True)
class TrainedWeights:
    """Which weights unlearning changes.

    Attributes:
        front_end: the convolutional front end too.
        encoder: the encoder too; False is for a Whisper.
        lora: new adapters, which alone are changed. Adapters that a model has are changed alone
            without it.
    """

    front_end: bool = False
    encoder: bool = True
    lora: Lora = NO_LORA

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Those of a run, from the options in its run.json."""
        return cls(
            front_end=not options["front_end_frozen"],
            encoder=not options.get("encoder_frozen", False),
            lora=Lora(**options.get("lora", {})),
        )

    def recorded(self, task: Task) -> dict[str, Any]:
        """The options of a run: whether the encoder is frozen, and adapters, only where so."""
        options: dict[str, Any] = {"front_end_frozen": task.front_end_is_frozen}
        if not self.encoder:
            options["encoder_frozen"] = True
        if self.lora:
            options["lora"] = asdict(self.lora)
        return options

    def choose(self, task: Task, seed: int) -> None:
        """Freeze the others; `seed` draws new adapters.

        Raises:
            InputError: the model has no such layers.
        """
        if self.lora:
            torch.manual_seed(seed)
            add_adapters(task.model, self.lora)
        if not self.front_end:
            task.freeze_front_end()
        if not self.encoder:
            task.freeze_encoder()

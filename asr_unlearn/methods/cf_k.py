"""Fine-tuning of the last layers alone."""

from dataclasses import dataclass
from typing import ClassVar

from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.option_types import PositiveInt
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError


@dataclass(kw_only=True)
class CFK(Finetune):
    """Catastrophic forgetting in the last k layers (CF-k; Goel et al., arXiv 2201.06640).

    Attributes:
        layers: k, including the output projection.
    """

    name: ClassVar[str] = "cf_k"
    paper: ClassVar[str] = "arXiv 2201.06640"

    layers: PositiveInt = 2

    def freeze_parameters(self, task: Task) -> None:
        """Freeze all but the last k layers; raises InputError if the model has fewer."""
        layers = task.layers()
        if self.layers > len(layers):
            raise InputError(f"cf_k.layers={self.layers}: the model has {len(layers)} layers")
        last = {p for layer in layers[-self.layers :] for p in layer.parameters()}
        for parameter in task.model.parameters():
            parameter.requires_grad_(parameter.requires_grad and parameter in last)

"""How passes through a model are computed: their precision, and how much audio is in one."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.runtime.errors import InputError

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How passes through a model are computed; a result depends on it by rounding alone.

    Attributes:
        precision: fp32; or bf16, in which products are computed (bfloat16 autocast), while weights,
            losses, and the solution of an orthogonal step stay in fp32.
        max_seconds: most seconds of audio with padding in one pass; a larger batch goes through the
            model in pieces, with the same result. 0 for no limit.
        shard: each of several processes keeps a part of every weight, of its gradient and of the
            optimizer's state (FSDP2), for models that are too large for one.

    Raises:
        InputError: a negative number of seconds.
    """

    precision: Precision = "fp32"
    max_seconds: float = 0.0
    shard: bool = False

    def __post_init__(self) -> None:
        if not self.max_seconds >= 0:
            raise InputError(f"--compute.max_seconds must be 0 or more, not {self.max_seconds:g}")

    def __bool__(self) -> bool:
        """Whether anything is not as by default."""
        return self != Compute()

    @property
    def longest(self) -> float:
        """Most samples of audio with padding in one pass."""
        return self.max_seconds * SAMPLE_RATE if self.max_seconds else math.inf

    def autocast(self, device: torch.device) -> torch.autocast:
        """The context of a forward pass."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def recorded(self) -> dict[str, Any]:
        """The options of a run; none where all is as by default."""
        options = asdict(self)
        if not self.shard:
            del options["shard"]
        return {"compute": options} if self else {}


FULL = Compute()


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep each layer's input alone while the model is trained (arXiv 1604.06174).

    The rest is computed again in the backward pass, with the same dropout.

    Raises:
        InputError: the model's class cannot do so.
    """
    if not model.supports_gradient_checkpointing:
        raise InputError(
            f"{type(model).__name__} has no layers to checkpoint: leave out "
            "--gradient_checkpointing; --compute.max_seconds needs less memory too"
        )
    model.gradient_checkpointing_enable({"use_reentrant": False})

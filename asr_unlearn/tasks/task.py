"""What every task offers: a model that answers utterances, with one loss each."""

from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from asr_unlearn.batching import Batch
from asr_unlearn.manifest import Utterance


class Task(Protocol):
    """A model, its processor, and how its utterances are encoded, scored and transcribed."""

    model: PreTrainedModel
    processor: Any

    @property
    def device(self) -> torch.device:
        """Where the model lives; batches are moved there."""

    def cache_key(self) -> str | None:
        """Names what `encode` computes when that is worth keeping on disk, None for a bare wave."""

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """The label ids of one utterance."""

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """Per-utterance losses, differentiable with respect to the trainable parameters."""

    def score(self, batch: Batch) -> tuple[Float[Tensor, " B"], list[str]]:
        """Losses, and greedily decoded answers, from one forward pass."""

    @property
    def batches_are_exact(self) -> bool:
        """Whether an utterance in a padded batch gives what it gives alone."""

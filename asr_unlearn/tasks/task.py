"""What every task offers: a model asked to turn utterances into answers, and per-utterance losses."""

from typing import Any, Protocol

import numpy as np
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
    def device(self) -> Any:
        """Where the model lives; batches are moved there."""

    @property
    def caches_features(self) -> bool:
        """Whether `encode` returns features of a frozen front end, worth keeping on disk."""

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """The label ids of one utterance."""

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """Per-utterance losses, differentiable with respect to the trainable parameters."""

    def predict(self, batch: Batch) -> list[str]:
        """One answer per utterance, decoded greedily."""

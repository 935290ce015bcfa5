"""What comes first in a model: how an utterance becomes its input, and the layers that measure_losses it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from asr_unlearn.data.batching import Batch, is_own


class FrontEnd(ABC):
    """From a wave to what the model says of it."""

    batches_are_exact: bool
    """Whether an utterance in a padded batch gives what it gives alone."""

    fewest_frames: int = 1
    """Frames without which the layers behind it can make nothing of an utterance."""

    @abstractmethod
    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the first layers, which stay as they are when the front end is frozen."""

    @property
    def is_frozen(self) -> bool:
        return not any(p.requires_grad for p in self.parameters())

    @abstractmethod
    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""

    @abstractmethod
    def cache_key(self) -> str | None:
        """Names what `encode` computes when that is worth keeping on disk, None for a bare wave."""

    @abstractmethod
    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames that the first layers make of waves with that many samples."""

    def is_true(self, length: int, batch: Batch) -> Bool[Tensor, "B {length}"]:
        """Which of so many frames are an utterance's own."""
        return is_own(length, self.frames(batch.samples))

    @abstractmethod
    def output(self, batch: Batch, **inputs: Any) -> Any:
        """What the model returns for a batch of encoded utterances and its further inputs."""

    @abstractmethod
    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's last states, and which of them are an utterance's own."""

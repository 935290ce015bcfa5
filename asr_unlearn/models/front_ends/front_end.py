"""The interface of front ends: they encode an utterance and run the model on it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from asr_unlearn.data.batching import Batch, is_own
from asr_unlearn.runtime.errors import InputError


@contextmanager
def ordinary_tensors() -> Iterator[None]:
    """A context in which a model computes no tensors that only inference can use.

    Some models keep the positions that they computed last, and take them again in training.
    """
    if not torch.is_inference_mode_enabled():
        yield
        return
    with torch.inference_mode(False), torch.no_grad():
        yield


@contextmanager
def no_masks_beyond(frames: int, config: Any) -> Iterator[None]:
    """A context in which SpecAugment masks no time in batches shorter than one of its masks.

    The models refuse such batches in training.
    """
    share = getattr(config, "mask_time_prob", 0.0)
    if not share or frames >= config.mask_time_length:
        yield
        return
    config.mask_time_prob = 0.0
    try:
        yield
    finally:
        config.mask_time_prob = share


def adapter_sees_padding(model: PreTrainedModel) -> bool:
    """Whether convolutions behind the encoder reach from an utterance's end into its padding."""
    return bool(getattr(model.config, "add_adapter", False))


def check_spectrogram(made: tuple[int, int], taken: tuple[int, int], settings: str) -> None:
    """Raises InputError unless an extractor makes what its model takes.

    Args:
        made: frames and mel bands of the extractor.
        taken: those of the model.
        settings: of the extractor that determine them.
    """
    if made != taken:
        raise InputError(
            f"the feature extractor makes {made[0]} frames of {made[1]} mel bands, but the model "
            f"takes {taken[0]} of {taken[1]}: set {settings} in preprocessor_config.json"
        )


class FrontEnd(ABC):
    """The first stage of a model: from a wave to the model's output."""

    batches_are_exact: bool
    """Whether padding leaves the output of an utterance unchanged."""

    fewest_frames: int = 1
    """The least number of frames that the model can process."""

    @abstractmethod
    def parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of the first layers, which a frozen front end does not train."""

    @property
    def shortest(self) -> int:
        """Samples of silence and speech that every utterance is at least padded to."""
        return 0

    @property
    def is_frozen(self) -> bool:
        return not any(p.requires_grad for p in self.parameters())

    def freeze_encoder(self) -> None:
        """Stop training the whole encoder, so that each utterance is encoded once.

        Raises:
            InputError: the model has no decoder that would be left to train.
        """
        raise InputError("only the encoder of a model with a decoder, such as Whisper, is frozen")

    @abstractmethod
    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""

    @abstractmethod
    def cache_key(self) -> str | None:
        """A name for the features of `encode`; None where they are not cached on disk."""

    @abstractmethod
    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The number of frames of waves with that many samples."""

    def input_frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The number of features that `encode` makes of them, where it makes features."""
        return self.frames(samples)

    def is_true(self, length: int, batch: Batch) -> Bool[Tensor, "B {length}"]:
        """Which of `length` frames are not padding."""
        return is_own(length, self.frames(batch.samples))

    @abstractmethod
    def output(self, batch: Batch, **inputs: Any) -> Any:
        """The model's output for a batch of encoded utterances and further inputs."""

    def encoded(self, states: Float[Tensor, "B T C"], batch: Batch) -> dict[str, Any]:
        """What a model with a decoder is given in place of its inputs: the encoder's states."""
        own = torch.ones_like(states[:, :, 0], dtype=torch.long)
        return {"encoder_outputs": BaseModelOutput(states), "attention_mask": own}

    @abstractmethod
    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's last states, and which of them are not padding."""

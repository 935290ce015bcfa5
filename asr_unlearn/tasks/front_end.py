"""What comes first in a model: how an utterance becomes its input, and the layers that hear it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.batching import Batch, is_own
from asr_unlearn.errors import InputError
from asr_unlearn.manifest import Utterance


class NonFiniteLossError(InputError):
    """A loss or gradient that is not a number; the message names the utterances."""


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


class Listener:
    """A model behind a front end, and its processor: what all tasks share."""

    one_label = False
    """Whether an answer is the name of a class, right or wrong as a whole."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        front_end: FrontEnd,
        device: torch.device | None = None,
    ) -> None:
        self.model = model if device is None else nn.Module.to(model, device)
        self.processor = processor
        self.front_end = front_end

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def batches_are_exact(self) -> bool:
        """Whether an utterance in a padded batch gives what it gives alone."""
        return self.front_end.batches_are_exact

    @property
    def front_end_is_frozen(self) -> bool:
        return self.front_end.is_frozen

    def freeze_front_end(self) -> None:
        """Keep the first layers as they are; what they make of an utterance can be cached."""
        for parameter in self.front_end.parameters():
            parameter.requires_grad_(False)

    def cache_key(self) -> str | None:
        return self.front_end.cache_key()

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        return self.front_end.encode(audio)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's last states, and which of them are an utterance's own."""
        return self.front_end.states(batch)


def layers_of(model: PreTrainedModel, *heads: str) -> list[nn.Module]:
    """The layers of a model's encoder, first to last, then its heads of these names.

    Raises:
        InputError: the model has them elsewhere.
    """
    encoder: Any = getattr(model.base_model, "encoder", model.base_model)
    # SEW-D has a transformer encoder within its encoder, as BERT's is.
    places = [(encoder, "layers"), (getattr(encoder, "encoder", None), "layer")]
    found = [getattr(holder, name, None) for holder, name in places]
    layers = next((each for each in found if isinstance(each, nn.ModuleList)), None)
    ends = [getattr(model, head, None) for head in heads]
    if layers is None or not all(isinstance(end, nn.Module) for end in ends):
        raise InputError(
            f"{type(model).__name__}: which layers are last cannot be told; it needs its encoder's "
            f"as a ModuleList encoder.layers, and {', '.join(heads)}; choose another method"
        )
    return [*layers, *ends]


def check_finite(losses: Float[Tensor, " B"], batch: Batch, cause: str) -> None:
    """Raises NonFiniteLossError, naming the utterances whose loss is not finite."""
    if torch.isfinite(losses).all():
        return
    finite = torch.isfinite(losses).tolist()
    names = [i for i, fine in zip(batch.ids, finite, strict=True) if not fine]
    raise NonFiniteLossError(f"the loss of {', '.join(names)} is not finite: {cause}")


def check_labels(
    utterance: Utterance, labels: Sequence[int], outputs: int, asking: str = "the tokenizer"
) -> None:
    """Raises InputError for a label that the head has no output for; `asking` gave the labels."""
    if (highest := max(labels, default=0)) >= outputs:
        raise InputError(
            f"utterance {utterance.id}: the head has {outputs} outputs, {asking} asks for "
            f"label {highest}: give the model the vocabulary that it was trained with"
        )


def fingerprint(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of a module's parameters and buffers, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]

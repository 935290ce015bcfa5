"""The interface of every task: a model with a loss, a prediction and a reference per utterance."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.front_ends.front_end import FrontEnd
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.confidence import ScoredBatch
from asr_unlearn.runtime.errors import InputError


class NonFiniteLossError(InputError):
    """A loss or gradient that is not a number; the message names the utterances."""


class Task(ABC):
    """A model with its front end and processor.

    Args:
        model: is moved to `device`.
        processor: feature extractor and tokenizer of the model.
        front_end: encodes utterances for the model.
        device: None leaves the model where it is.

    Attributes:
        compute: how passes through the model are computed.
    """

    one_label: ClassVar[bool] = False
    """Whether a prediction is the name of a class, right or wrong as a whole."""

    generates: ClassVar[bool] = False
    """Whether predictions are generated token by token, and not read off the logits."""

    not_finite: ClassVar[str] = "the model has diverged"
    """The cause that is given for a loss that is not finite."""

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
        self.compute: Compute = FULL

    @abstractmethod
    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """Label ids of one utterance; raises InputError, naming it, where it can have none."""

    @property
    def normalises(self) -> bool:
        """Whether error rates compare normalised texts, and not those that are written."""
        return False

    @abstractmethod
    def written_reference(self, utterance: Utterance) -> str:
        """The reference of an utterance, spelled as the model is to write it."""

    def compared(self, text: str, language: str | None) -> str:
        """A text as error rates compare it; the language is that of the manifest, if any."""
        return text

    def reference(self, utterance: Utterance) -> str:
        """The reference of an utterance as error rates compare it."""
        return self.compared(self.written_reference(utterance), utterance.language)

    @abstractmethod
    def logits(self, batch: Batch) -> Float[Tensor, "..."]:
        """Unnormalised log-probabilities, from one forward pass."""

    @abstractmethod
    def losses_from_logits(self, logits: Float[Tensor, "..."], batch: Batch) -> Float[Tensor, " B"]:
        """One loss per utterance."""

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """Per-utterance losses, differentiable with respect to the trainable parameters.

        Raises:
            NonFiniteLossError: naming the utterances whose loss is not finite.
        """
        losses = self.losses_from_logits(self.logits(batch), batch)
        check_finite(losses, batch.ids, self.not_finite)
        return losses

    @abstractmethod
    def score(self, batch: Batch) -> ScoredBatch:
        """Losses, greedily decoded predictions and their certainty, from one forward pass."""

    def distributions(self, batch: Batch) -> tuple[Float[Tensor, "B T V"], Bool[Tensor, "B T"]]:
        """Log-probabilities of each frame or token, and which of them are not padding."""
        return self.distributions_from_logits(self.logits(batch), batch)

    @abstractmethod
    def distributions_from_logits(
        self, logits: Float[Tensor, "..."], batch: Batch
    ) -> tuple[Float[Tensor, "B T V"], Bool[Tensor, "B T"]]:
        """The same from the logits of the batch."""

    @abstractmethod
    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """Whether an utterance of that many samples is long enough for the target."""

    def with_model(self, model: PreTrainedModel) -> "Task":
        """The same task for another model of the same class, for instance a teacher."""
        task = self._of(model)
        task.compute = self.compute
        return task

    @abstractmethod
    def _of(self, model: PreTrainedModel) -> "Task":
        """A task with the settings of this one's front end and decoder."""

    def output(self, batch: Batch, **inputs: Any) -> Any:
        """The model's output for a batch and further inputs, from one forward pass."""
        with self.compute.autocast(self.device):
            return self.front_end.output(batch, **inputs)

    @abstractmethod
    def layers(self) -> list[nn.Module]:
        """The layers after the front end in order of computation; the head is last."""

    @property
    def device(self) -> torch.device:
        """The model's device."""
        return self.model.device

    @property
    def batches_are_exact(self) -> bool:
        """Whether padding leaves the output of an utterance unchanged."""
        return self.front_end.batches_are_exact

    @property
    def front_end_is_frozen(self) -> bool:
        """Whether no parameter of the front end is trained."""
        return self.front_end.is_frozen

    def freeze_front_end(self) -> None:
        """Stop training the front end's parameters, so that its features can be cached."""
        for parameter in self.front_end.parameters():
            parameter.requires_grad_(False)

    def freeze_encoder(self) -> None:
        """Stop training the whole encoder; see `FrontEnd.freeze_encoder`."""
        self.front_end.freeze_encoder()

    def cache_key(self) -> str | None:
        """A name for the features of `encode`; None where they are not cached on disk."""
        return self.front_end.cache_key()

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""
        return self.front_end.encode(audio)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's last states, and which of them are not padding."""
        return self.front_end.states(batch)


def layers_of(model: PreTrainedModel, *heads: str) -> list[nn.Module]:
    """The layers of a model's encoder, first to last, then its heads of these names.

    Raises:
        InputError: the model has no such modules.
    """
    base: Any = model.base_model
    encoder = getattr(base, "encoder", getattr(base, "audio_tower", base))
    # SEW-D has a transformer encoder within its encoder, as BERT's is.
    places = [(encoder, "layers"), (getattr(encoder, "encoder", None), "layer")]
    found = [getattr(holder, name, None) for holder, name in places]
    layers = next((each for each in found if isinstance(each, nn.ModuleList)), None)
    ends = [getattr(model, head, None) for head in heads]
    if layers is None or not all(isinstance(end, nn.Module) for end in ends):
        raise InputError(
            f"{type(model).__name__}: its last layers cannot be found; it needs its encoder's "
            f"as a ModuleList encoder.layers, and {', '.join(heads)}; choose another method"
        )
    return [*layers, *ends]


def check_finite(
    losses: Float[Tensor, " B"], ids: Sequence[str], cause: str, what: str = "the loss"
) -> None:
    """Raises NonFiniteLossError, naming the utterances whose loss, or `what` it is, is not finite.

    Args:
        losses: of the utterances of these ids.
    """
    if torch.isfinite(losses).all():
        return
    finite = torch.isfinite(losses).tolist()
    names = [i for i, fine in zip(ids, finite, strict=True) if not fine]
    raise NonFiniteLossError(f"{what} of {', '.join(names)} is not finite: {cause}")


def check_labels(
    utterance: Utterance, labels: Sequence[int], outputs: int, source: str = "the tokenizer"
) -> None:
    """Raises InputError for a label, made by `source`, that the head has no output for."""
    if (highest := max(labels, default=0)) >= outputs:
        raise InputError(
            f"utterance {utterance.id}: the head has {outputs} outputs, {source} has the "
            f"label {highest}: give the model the vocabulary that it was trained with"
        )

"""The convolutions over the wave of wav2vec2, HuBERT, WavLM and similar models."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.models.extractors import padding_is_seen
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.front_ends.front_end import (
    FrontEnd,
    adapter_sees_padding,
    no_masks_beyond,
    ordinary_tensors,
)
from asr_unlearn.runtime.errors import InputError

# After the front end these let padding leak into true frames (by 1e-4 to 4e-2 in the loss).
LEAKS_PADDING = {"data2vec-audio", "wav2vec2-conformer", "sew", "sew-d"}


class _PassThrough(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features


@contextmanager
def passed_through(holder: nn.Module, name: str) -> Iterator[None]:
    """A context in which a module's part of that name gives out what it is given."""
    part = getattr(holder, name)
    setattr(holder, name, _PassThrough())
    try:
        yield
    finally:
        setattr(holder, name, part)


class ConvFrontEnd(FrontEnd):
    """The first convolutions of a model, which take the wave.

    Padding does not change an utterance's features: a front end with layer norm takes padded
    batches (exact under the attention mask); one with group norm, which depends on padding, takes
    single utterances, and the features are padded instead. The few families that leak padding
    further up (`LEAKS_PADDING`), and models with an adapter, are scored one by one, but trained in
    batches.

    Attributes:
        holder: the module that the convolutions are a part of.
        part: their name in it.

    Raises:
        InputError: the model has no such front end.
    """

    part: ClassVar[str] = "feature_extractor"

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        self.model, self.extractor = model, extractor
        self.holder = self._holder()
        if not hasattr(self.holder, self.part):
            raise InputError(
                f"{type(model).__name__} has no convolutional front end; "
                "use a model that takes a raw wave, such as Wav2Vec2ForCTC"
            )
        self.layers: Any = getattr(self.holder, self.part)
        # Otherwise a gradient with respect to the wave would be computed in vain.
        self.layers._requires_grad = False
        self.batches_are_exact = not (
            model.config.model_type in LEAKS_PADDING or adapter_sees_padding(model)
        )
        self._sees_padding = padding_is_seen(model.config)

    def _holder(self) -> nn.Module:
        backbone: nn.Module = self.model.base_model
        return backbone

    @property
    def first_convolution(self) -> nn.Conv1d:
        convolution: nn.Conv1d = self.layers.conv_layers[0].conv
        return convolution

    def parameters(self) -> Iterator[nn.Parameter]:
        parameters: Iterator[nn.Parameter] = self.layers.parameters()
        return parameters

    def cache_key(self) -> str | None:
        if not self.is_frozen:
            return None
        # With strides, activations and the extractor's settings, which the weights do not hold.
        made_by = f"{self.extractor.to_json_string()}\0{self.layers}\0{fingerprint(self.layers)}"
        return hashlib.sha256(made_by.encode()).hexdigest()[:16]

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """The normalised wave [samples], or with a frozen front end its features [T, C]."""
        encoded = self.extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        # Some extractors give the wave a channel.
        values: Tensor = encoded.input_values[0].reshape(-1)
        if not self.is_frozen:
            return values
        with torch.no_grad():
            features = self._convolved(values[None].to(self.model.device, self.model.dtype))
        return features[0].T.contiguous().cpu()

    def _convolved(self, waves: Float[Tensor, "B S"]) -> Float[Tensor, "B C T"]:
        features: Tensor = self.layers(waves)
        return features

    def output(self, batch: Batch, **inputs: Any) -> Any:
        """The model's output; frames after an utterance's end mean nothing."""
        return self._behind(self.model, batch, **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The transformer's last states."""
        states: Tensor = self._behind(self.model.base_model, batch).last_hidden_state
        return states, self.is_true(states.shape[1], batch)

    def _behind(self, model: nn.Module, batch: Batch, **inputs: Any) -> Any:
        # The models sum the attention mask over samples to find each utterance's length, so one
        # column that holds the length says the same as a [B, samples] mask.
        mask = batch.samples[:, None]
        features = self._features(batch)
        fitting = no_masks_beyond(features.shape[1], self.model.config)
        with passed_through(self.holder, self.part), ordinary_tensors(), fitting:
            return self._called(model, features, mask, **inputs)

    def _called(
        self,
        model: nn.Module,
        features: Float[Tensor, "B T C"],
        mask: Int[Tensor, "B 1"],
        **inputs: Any,
    ) -> Any:
        """A model's output for features in the place of those of its convolutions."""
        return model(features.transpose(1, 2), attention_mask=mask, **inputs)

    def _features(self, batch: Batch) -> Float[Tensor, "B T C"]:
        inputs = batch.inputs.to(self.model.dtype)
        if inputs.dim() == 3:
            return inputs
        if not self._sees_padding:
            return self._convolved(inputs).transpose(1, 2)
        alone = [
            self._convolved(wave[None, :length])[0].T
            for wave, length in zip(inputs, batch.samples.tolist(), strict=True)
        ]
        return nn.utils.rnn.pad_sequence(alone, batch_first=True)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames that the front end makes of waves with that many samples."""
        model: Any = self.model
        frames: Tensor = model._get_feat_extract_output_lengths(samples)
        return frames

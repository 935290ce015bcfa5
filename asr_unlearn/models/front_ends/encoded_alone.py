"""Encoders that see padding, run on each utterance alone; the decoder takes the whole batch.

The states are padded instead of the inputs, and masked, so that an utterance in a batch gives the
same as alone.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.moonshine.modeling_moonshine import MoonshineEncoderModelOutput

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.models.front_ends.features import FeatureFrontEnd
from asr_unlearn.models.front_ends.front_end import FrontEnd, ordinary_tensors


class EncodedAlone(FrontEnd):
    """A front end of an encoder-decoder whose encoder sees padding."""

    model: PreTrainedModel
    batches_are_exact = True

    @property
    def encoder(self) -> Any:
        backbone: Any = self.model.base_model
        return backbone.encoder

    def freeze_encoder(self) -> None:
        self.encoder.requires_grad_(False)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        inputs = batch.inputs.to(self.model.dtype)
        lengths = self._input_lengths(batch).tolist()
        with ordinary_tensors():
            alone = [
                self.encoder(own[None, :length]).last_hidden_state[0]
                for own, length in zip(inputs, lengths, strict=True)
            ]
            states = nn.utils.rnn.pad_sequence(alone, batch_first=True)
        return states, self.is_true(states.shape[1], batch)

    def _input_lengths(self, batch: Batch) -> Int[Tensor, " B"]:
        """The lengths of the utterances' inputs, without padding."""
        return self.input_frames(batch.samples)

    def output(self, batch: Batch, **inputs: Any) -> Any:
        states, _ = self.states(batch)
        output = self.model(**self.encoded(states, batch), **inputs)
        # Some classes do not pass the states on.
        output.encoder_last_hidden_state = states
        return output


class Speech2TextFrontEnd(EncodedAlone, FeatureFrontEnd):
    """Speech2Text's features; its convolutions, which have biases, carry padding into states."""

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        FeatureFrontEnd.__init__(self, model, extractor)
        self.batches_are_exact = True

    def parameters(self) -> Iterator[nn.Parameter]:
        parameters: Iterator[nn.Parameter] = self.encoder.conv.parameters()
        return parameters

    def encoded(self, states: Float[Tensor, "B T C"], batch: Batch) -> dict[str, Any]:
        # The model makes the mask of the states from that of the features.
        own = self.mask(batch).long()
        return {"encoder_outputs": BaseModelOutput(states), "attention_mask": own}


class MoonshineFrontEnd(EncodedAlone):
    """Moonshine's convolutions over the wave, whose group norm depends on padding."""

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        self.model, self.extractor = model, extractor

    @property
    def layers(self) -> list[nn.Module]:
        encoder = self.encoder
        return [encoder.conv1, encoder.groupnorm, encoder.conv2, encoder.conv3]

    def parameters(self) -> Iterator[nn.Parameter]:
        return (p for layer in self.layers for p in layer.parameters())

    def cache_key(self) -> None:
        """None: the input is the wave itself."""

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
        encoded = self.extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values: Tensor = encoded.input_values[0]
        return values

    def _input_lengths(self, batch: Batch) -> Int[Tensor, " B"]:
        return batch.samples

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames that the convolutions make of waves with that many samples."""
        for layer in self.layers:
            if isinstance(layer, nn.Conv1d):
                samples = (samples - layer.kernel_size[0]) // layer.stride[0] + 1
        return samples.clamp(min=0)

    def encoded(self, states: Float[Tensor, "B T C"], batch: Batch) -> dict[str, Any]:
        own = self.is_true(states.shape[1], batch).long()
        outputs = MoonshineEncoderModelOutput(last_hidden_state=states, attention_mask=own)
        return {"encoder_outputs": outputs, "attention_mask": own}

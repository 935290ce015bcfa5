"""Models that take features of any length, made by their own feature extractor."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch, is_own
from asr_unlearn.models.front_ends.front_end import (
    FrontEnd,
    adapter_sees_padding,
    no_masks_beyond,
    ordinary_tensors,
)
from asr_unlearn.runtime.errors import InputError

# Kaldi's windows of 25 ms every 10 ms.
WINDOW, HOP = 400, 160
# What a model's class calls the number of its frames for so many features.
LENGTHS = ("_get_feat_extract_output_lengths", "_get_subsampling_output_length")


def whole_windows(samples: Int[Tensor, " B"], window: int, hop: int) -> Int[Tensor, " B"]:
    """How many windows lie within waves of that many samples."""
    return ((samples - window) // hop + 1).clamp(min=0)


# The number of features that are not padding, by the extractor's class.
FEATURES: dict[str, Callable[[Any, Int[Tensor, " B"]], Int[Tensor, " B"]]] = {
    # Frames are stacked; a rest is left out.
    "SeamlessM4TFeatureExtractor": lambda e, n: whole_windows(n, WINDOW, HOP) // e.stride,
    "LasrFeatureExtractor": lambda e, n: whole_windows(n, e.win_length, e.hop_length),
    "ParakeetFeatureExtractor": lambda e, n: n // e.hop_length,
    # Frames are stacked; a rest is filled up.
    "GraniteSpeech5FeatureExtractor": lambda e, n: -(-(n // e.hop_length) // e.frame_stacking),
    "Speech2TextFeatureExtractor": lambda e, n: whole_windows(n, WINDOW, HOP),
}


class FeatureFrontEnd(FrontEnd):
    """A front end without weights: the features of the model's extractor, cached on disk.

    An utterance is encoded without padding, and the padding of a batch is masked. wav2vec2-bert's
    adapter, whose convolution reaches into padding, is the exception that sees it.

    Raises:
        InputError: the number of features of this extractor, or of frames of this model, is not
            known.
    """

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        self.model, self.extractor = model, extractor
        self.batches_are_exact = not adapter_sees_padding(model)
        counts = FEATURES.get(type(extractor).__name__)
        lengths = next((getattr(model, name) for name in LENGTHS if hasattr(model, name)), None)
        if counts is None or lengths is None:
            raise InputError(
                f"{type(model).__name__} with {type(extractor).__name__}: the number of frames of "
                f"an utterance is known for models with one of {', '.join(FEATURES)}"
            )
        self._counts, self._lengths = counts, lengths

    def parameters(self) -> Iterator[nn.Parameter]:
        return iter(())

    def cache_key(self) -> str:
        made_by = f"{type(self.extractor).__name__}\0{self.extractor.to_json_string()}"
        return hashlib.sha256(made_by.encode()).hexdigest()[:16]

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "T C"]:
        encoded = self.extractor(
            audio, sampling_rate=SAMPLE_RATE, return_attention_mask=True, return_tensors="pt"
        )
        features: Tensor = encoded.input_features[0]
        # Some extractors make a last row of padding.
        return features[: int(self.input_frames(torch.tensor([len(audio)])))].contiguous()

    def input_frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        counts: Tensor = self._counts(self.extractor, samples)
        # Extractors divide by the standard deviation over time, which a single row has not.
        return counts.masked_fill(counts < 2, 0)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames of the model's output for waves with that many samples."""
        frames: Tensor = self._lengths(self.input_frames(samples))
        return frames.long().clamp(min=0)

    def mask(self, batch: Batch) -> Bool[Tensor, "B T"]:
        """Which features are not padding."""
        return is_own(batch.inputs.shape[1], self.input_frames(batch.samples))

    def output(self, batch: Batch, **inputs: Any) -> Any:
        """The model's output; frames after an utterance's end mean nothing."""
        return self._of(self.model, batch, **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        backbone: Any = self.model.base_model
        # Some classes hold their encoder beside the head, and not within a base model.
        encoder: Any = backbone.encoder if backbone is self.model else backbone
        states: Tensor = self._of(encoder, batch).last_hidden_state
        return states, self.is_true(states.shape[1], batch)

    def _of(self, model: Any, batch: Batch, **inputs: Any) -> Any:
        features = batch.inputs.to(self.model.dtype)
        with ordinary_tensors(), no_masks_beyond(features.shape[1], self.model.config):
            return model(input_features=features, attention_mask=self.mask(batch), **inputs)

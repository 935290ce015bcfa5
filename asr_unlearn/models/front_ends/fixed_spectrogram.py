"""Models that take a spectrogram of fixed length without a mask (AST: Gong et al., 2021)."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch, is_own
from asr_unlearn.models.front_ends.features import HOP, WINDOW, FeatureFrontEnd, whole_windows
from asr_unlearn.models.front_ends.front_end import check_spectrogram
from asr_unlearn.runtime.errors import InputError


class FixedSpectrogramFrontEnd(FeatureFrontEnd):
    """A spectrogram of one length for all utterances, whose rest has the value of padding.

    An utterance is kept without that rest, which is added in a batch as the extractor adds it.

    Raises:
        InputError: the extractor makes other spectrograms than the model takes.
    """

    batches_are_exact = True

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        self.model, self.extractor = model, extractor
        self.length: int = model.config.max_length
        made = (extractor.max_length, extractor.num_mel_bins)
        taken = (self.length, model.config.num_mel_bins)
        check_spectrogram(made, taken, "max_length and num_mel_bins")
        zero = np.zeros((), dtype=np.float32)
        self.rest = float(extractor.normalize(zero) if extractor.do_normalize else zero)

    @property
    def shortest(self) -> int:
        return self.length * HOP

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "T C"]:
        """The spectrogram of the utterance alone.

        Raises:
            InputError: the wave is longer than the model takes.
        """
        frames = int(self.input_frames(torch.tensor([len(audio)])))
        if frames > self.length:
            raise InputError(
                f"{len(audio) / SAMPLE_RATE:.1f} s of audio; the model takes spectrograms of "
                f"{self.length * HOP / SAMPLE_RATE:g} s: leave it out, or cut it"
            )
        encoded = self.extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        spectrogram: Tensor = encoded.input_values[0, :frames]
        return spectrogram.contiguous()

    def input_frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        return whole_windows(samples, WINDOW, HOP)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        return self.input_frames(samples)

    def spectrograms(self, batch: Batch) -> Float[Tensor, "B L C"]:
        """Spectrograms of the model's length."""
        # Random pieces of training may be longer.
        features = batch.inputs.to(self.model.dtype)[:, : self.length]
        own = is_own(features.shape[1], self.input_frames(batch.samples))
        rest = torch.full_like(features[:, :1], self.rest).expand(-1, self.length, -1).clone()
        rest[:, : features.shape[1]][own] = features[own]
        return rest

    def output(self, batch: Batch, **inputs: Any) -> Any:
        return self.model(input_values=self.spectrograms(batch), **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The states of all patches: each of them is a band of some frames."""
        backbone: Any = self.model.base_model
        states: Tensor = backbone(input_values=self.spectrograms(batch)).last_hidden_state
        return states, torch.ones_like(states[:, :, 0], dtype=torch.bool)

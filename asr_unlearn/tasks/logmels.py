"""Models that hear a log-mel spectrogram of fixed length: Whisper (Radford et al., 2022)."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.audio import SAMPLE_RATE
from asr_unlearn.batching import Batch
from asr_unlearn.errors import InputError
from asr_unlearn.tasks.front_end import FrontEnd

# Whisper's scale is (log10 power + 4) / 4. Powers are clipped from below at 1e-10, and then at a
# factor of 1e8 under the loudest.
FAINTEST, RANGE = -1.5, 2.0


class LogMelFrontEnd(FrontEnd):
    """Whisper's spectrogram, and the two convolutions that hear it.

    The encoder takes spectrograms of one length, 30 s in OpenAI's models, whose rest is silence.
    An utterance is encoded without that rest, and gets it back in a batch: to the last bit the
    features are those of the padded wave, so that an utterance in a batch is the utterance alone.

    Raises:
        TypeError: the model has no such encoder.
        ValueError: the feature extractor makes other spectrograms than the model hears.
    """

    batches_are_exact = True

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        encoder: Any = getattr(model.base_model, "encoder", None)
        if not (hasattr(encoder, "conv1") and hasattr(encoder, "conv2")):
            raise InputError(
                f"{type(model).__name__} does not hear log-mel spectrograms as Whisper does"
            )
        self.model, self.extractor, self.encoder = model, extractor, encoder
        self.layers: list[nn.Module] = [encoder.conv1, encoder.conv2]
        self.length: int = encoder.conv2.stride[0] * model.config.max_source_positions
        made = (extractor.nb_max_frames, extractor.feature_size)
        heard = (self.length, model.config.num_mel_bins)
        if made != heard:
            raise InputError(
                f"the feature extractor makes {made[0]} frames of {made[1]} mel bands, but the "
                f"model hears {heard[0]} of {heard[1]}: set chunk_length, hop_length and "
                "feature_size in preprocessor_config.json"
            )

    @property
    def longest(self) -> int:
        """Samples of the longest utterance that the encoder takes."""
        return int(self.extractor.n_samples)

    def parameters(self) -> Iterator[nn.Parameter]:
        return (p for layer in self.layers for p in layer.parameters())

    def cache_key(self) -> str:
        return hashlib.sha256(self.extractor.to_json_string().encode()).hexdigest()[:16]

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "T C"]:
        """The spectrogram up to the last frame that hears some of the wave.

        Raises:
            ValueError: the wave is longer than the encoder takes.
        """
        if len(audio) > self.longest:
            raise InputError(
                f"{len(audio) / SAMPLE_RATE:.1f} s of audio; the model hears "
                f"{self.longest / SAMPLE_RATE:g} s at most"
            )
        # With silence behind it, so that the last frames are not those of a wave that is cut off.
        room = len(audio) + self.extractor.n_fft + self.extractor.hop_length
        features = self.extractor(
            audio,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            max_length=min(room, self.longest),
            return_tensors="pt",
        )
        frames = int(self.frames(torch.tensor([len(audio)])))
        spectrogram: Tensor = features.input_features[0, :, :frames].T.contiguous()
        return spectrogram

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames whose window reaches into waves with that many samples."""
        reach = samples + self.extractor.n_fft // 2
        frames: Tensor = -(-reach // self.extractor.hop_length)
        return frames.clamp(max=self.length)

    def features(self, batch: Batch) -> Float[Tensor, "B C F"]:
        """Spectrograms of the encoder's length, silent where an utterance is over."""
        short = batch.inputs.to(self.model.dtype)
        _, time, bands = short.shape
        own = torch.arange(time, device=short.device) < self.frames(batch.samples)[:, None]
        own = own[:, :, None]
        loudest = short.masked_fill(~own, -torch.inf).amax((1, 2))
        silence = (loudest - RANGE).clamp(min=FAINTEST)[:, None, None]
        whole = silence.repeat(1, self.length, bands)
        whole[:, :time] = torch.where(own, short, silence)
        features: Tensor = whole.transpose(1, 2)
        return features

    def output(self, batch: Batch, **inputs: Any) -> Any:
        return self.model(input_features=self.features(batch), **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's states; those that come of silence behind an utterance are not its own."""
        states: Tensor = self.encoder(self.features(batch)).last_hidden_state
        return states, self.is_true(states.shape[1], batch)

    def is_true(self, positions: int, batch: Batch) -> Bool[Tensor, "B {positions}"]:
        """Which of so many positions of the encoder hear some of the utterance."""
        frames = self.length // positions * torch.arange(positions, device=batch.samples.device)
        return frames < self.frames(batch.samples)[:, None]

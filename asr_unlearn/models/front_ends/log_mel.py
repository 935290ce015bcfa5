"""Models that take a log-mel spectrogram of fixed length: Whisper (Radford et al., 2022)."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.models.front_ends.encoder_states import EncoderStates
from asr_unlearn.models.front_ends.front_end import FrontEnd, check_spectrogram
from asr_unlearn.runtime.errors import InputError

# Whisper's scale is (log10 power + 4) / 4. Powers are clipped from below at 1e-10, and then at a
# factor of 1e8 under the loudest.
FAINTEST, RANGE = -1.5, 2.0


@contextmanager
def shorter_encoder(encoder: Any, positions: int) -> Iterator[None]:
    """A context in which a Whisper encoder has its first `positions` only.

    Whisper's positions are fixed sinusoids, so those of a shorter window are the first rows of
    those of the whole one. The encoder is restored afterwards: a saved model has the whole window.
    """
    whole, config = encoder.embed_positions, encoder.config
    if positions == whole.num_embeddings:
        yield
        return
    encoder.embed_positions = nn.Embedding.from_pretrained(whole.weight[:positions].detach())
    config.max_source_positions = positions
    try:
        yield
    finally:
        encoder.embed_positions = whole
        config.max_source_positions = whole.num_embeddings


class LogMelFrontEnd(FrontEnd):
    """Whisper's spectrogram, and the two convolutions that take it.

    The encoder takes spectrograms of one length, 30 s in OpenAI's models, whose rest is silence.
    An utterance is encoded without that rest, which is added in a batch: the features are those of
    the padded wave bit for bit, so that an utterance in a batch gives the same as alone.

    `set_window` shortens that length for all utterances, since most of the time goes into encoding
    silence. The features of an utterance are the same whatever the window.

    Attributes:
        whole: frames of the model's own window.
        length: frames of the window in use.

    Raises:
        InputError: the model has no such encoder, or the feature extractor makes other
            spectrograms than it takes.
    """

    batches_are_exact = True

    def __init__(self, model: PreTrainedModel, extractor: Any) -> None:
        encoder: Any = getattr(model.base_model, "encoder", None)
        if not (hasattr(encoder, "conv1") and hasattr(encoder, "conv2")):
            raise InputError(
                f"{type(model).__name__} takes no log-mel spectrograms as Whisper does"
            )
        self.model, self.extractor, self.encoder = model, extractor, encoder
        # Fixed sinusoids, which transformers 5 makes trainable when it loads a model.
        encoder.embed_positions.requires_grad_(False)
        self.layers: list[nn.Module] = [encoder.conv1, encoder.conv2]
        self.stride: int = encoder.conv2.stride[0]
        self.whole: int = self.stride * model.config.max_source_positions
        self.length: int = self.whole
        self.kept = EncoderStates()
        made = (extractor.nb_max_frames, extractor.feature_size)
        taken = (self.whole, model.config.num_mel_bins)
        check_spectrogram(made, taken, "chunk_length, hop_length and feature_size")

    @property
    def longest(self) -> int:
        """Samples of the longest utterance that the window holds."""
        return int(self.length * self.extractor.hop_length)

    @property
    def shortest(self) -> int:
        return self.longest

    @property
    def window(self) -> float:
        """Seconds of the window in use."""
        return self.longest / SAMPLE_RATE

    def set_window(self, seconds: float) -> None:
        """Encode spectrograms of so many seconds, rounded up to whole seconds.

        Raises:
            InputError: not a length, or longer than the model's own window.
        """
        own = self.extractor.n_samples / SAMPLE_RATE
        if not 0 < seconds <= own:
            raise InputError(f"window {seconds:g}: give seconds above 0, up to {own:g}, or auto")
        frames = math.ceil(seconds) * SAMPLE_RATE // self.extractor.hop_length
        self.length = min(-(-frames // self.stride) * self.stride, self.whole)
        self.kept.clear()

    def freeze_encoder(self) -> None:
        self.encoder.requires_grad_(False)

    def parameters(self) -> Iterator[nn.Parameter]:
        return (p for layer in self.layers for p in layer.parameters())

    def cache_key(self) -> str:
        return hashlib.sha256(self.extractor.to_json_string().encode()).hexdigest()[:16]

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "T C"]:
        """The spectrogram up to the last frame whose window reaches into the wave.

        Raises:
            InputError: the wave is longer than the window.
        """
        if len(audio) > self.longest:
            remedy = "leave it out"
            if self.length < self.whole:
                remedy = (
                    "measure the manifest's recordings with `python -m data_prep.check`, or give "
                    "--window full"
                )
            raise InputError(
                f"{len(audio) / SAMPLE_RATE:.2f} s of audio, and the encoder's window holds "
                f"{self.window:g} s; {remedy}"
            )
        # With silence after it, so that the last frames are not those of a cut wave.
        room = len(audio) + self.extractor.n_fft + self.extractor.hop_length
        features = self.extractor(
            audio,
            sampling_rate=SAMPLE_RATE,
            padding="max_length",
            max_length=min(room, self.extractor.n_samples),
            return_tensors="pt",
        )
        frames = int(self._reached(torch.tensor([len(audio)])).clamp(max=self.whole))
        spectrogram: Tensor = features.input_features[0, :, :frames].T.contiguous()
        return spectrogram

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames of the window that reach into waves with that many samples."""
        return self._reached(samples).clamp(max=self.length)

    def _reached(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        reach = samples + self.extractor.n_fft // 2
        frames: Tensor = -(-reach // self.extractor.hop_length)
        return frames

    def features(self, batch: Batch) -> Float[Tensor, "B C F"]:
        """Spectrograms of the window's length, silent where an utterance is over."""
        short = batch.inputs.to(self.model.dtype)
        _, time, bands = short.shape
        own = torch.arange(time, device=short.device) < self._reached(batch.samples)[:, None]
        own = own[:, :, None]
        loudest = short.masked_fill(~own, -torch.inf).amax((1, 2))
        silence = (loudest - RANGE).clamp(min=FAINTEST)[:, None, None]
        padded = silence.repeat(1, self.length, bands)
        # The last frames of an utterance as long as the window lie outside it.
        time = min(time, self.length)
        padded[:, :time] = torch.where(own, short, silence)[:, :time]
        features: Tensor = padded.transpose(1, 2)
        return features

    def output(self, batch: Batch, **inputs: Any) -> Any:
        with shorter_encoder(self.encoder, self.length // self.stride):
            trained = any(p.requires_grad for p in self.encoder.parameters())
            if trained or self.encoder.training:
                inputs["input_features"] = self.features(batch)
            else:
                inputs["encoder_outputs"] = BaseModelOutput(self._frozen_states(batch))
            output: Any = self.model(**inputs)
        return output

    def _frozen_states(self, batch: Batch) -> Float[Tensor, "B T C"]:
        """The states of a frozen encoder, which are encoded once."""

        def encode(indices: Int[Tensor, " N"]) -> Float[Tensor, "N T C"]:
            # Tensors made in inference mode could not be used in training later.
            with torch.inference_mode(False), torch.no_grad():
                spectrograms = self.features(batch.take(indices))
                states: Tensor = self.encoder(spectrograms).last_hidden_state
            return states

        return self.kept.of(batch.inputs, self.frames(batch.samples), encode)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's states, and which of them are not of the silence after an utterance."""
        with shorter_encoder(self.encoder, self.length // self.stride):
            encoded: Any = self.encoder(self.features(batch))
        states: Tensor = encoded.last_hidden_state
        return states, self.is_true(states.shape[1], batch)

    def is_true(self, positions: int, batch: Batch) -> Bool[Tensor, "B {positions}"]:
        """Which of the encoder's positions reach into the utterance."""
        frames = self.length // positions * torch.arange(positions, device=batch.samples.device)
        return frames < self.frames(batch.samples)[:, None]

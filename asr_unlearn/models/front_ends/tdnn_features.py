"""The log-mel front end of `TdnnForCTC`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.models.fbank import fbank_frames
from asr_unlearn.models.front_ends.front_end import FrontEnd
from asr_unlearn.models.tdnn import TdnnForCTC, halved


class MelFrontEnd(FrontEnd):
    """A front end without weights: log-mel features, made once for each utterance."""

    batches_are_exact = True

    def __init__(self, model: TdnnForCTC, extractor: Any) -> None:
        self.model, self.extractor = model, extractor

    def parameters(self) -> Iterator[nn.Parameter]:
        return iter(())

    def cache_key(self) -> None:
        """None: computing the features is faster than reading them."""

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "T C"]:
        encoded = self.extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        wave: Tensor = encoded.input_values[0]
        return self.model.features(wave)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Frames of the output, every 40 ms, of waves with that many samples."""
        return halved(halved(fbank_frames(samples)))

    def output(self, batch: Batch, **inputs: Any) -> Any:
        features = batch.inputs.to(self.model.dtype)
        return self.model(features, fbank_frames(batch.samples), **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        states = self.output(batch).hidden_states[-1]
        return states, self.is_true(states.shape[1], batch)

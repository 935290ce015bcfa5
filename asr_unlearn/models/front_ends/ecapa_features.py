"""The front end of ECAPA-TDNN, which computes SpeechBrain's log-mel features itself."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.models.ecapa import EcapaForAudioClassification
from asr_unlearn.models.fbank import fbank_frames
from asr_unlearn.models.front_ends.front_end import FrontEnd


class FbankFrontEnd(FrontEnd):
    """A front end without weights that passes waves on to the model.

    Batches hold waves, so that training can crop and augment them; their features cost little
    beside the network.
    """

    batches_are_exact = True

    def __init__(self, model: EcapaForAudioClassification, extractor: Any) -> None:
        self.model, self.extractor = model, extractor
        # An utterance is extended by its mirror image, as far as a convolution reaches.
        self.fewest_frames = model.config.reach + 1

    def parameters(self) -> Iterator[nn.Parameter]:
        return iter(())

    def cache_key(self) -> None:
        return None

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, " samples"]:
        encoded = self.extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values: Tensor = encoded.input_values[0]
        return values

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        return fbank_frames(samples)

    def output(self, batch: Batch, **inputs: Any) -> Any:
        # The model sums the mask to the true length, so one column with the length is enough.
        waves = batch.inputs.to(self.model.dtype)
        return self.model(waves, attention_mask=batch.samples[:, None], **inputs)

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B 1 C"], Bool[Tensor, "B 1"]]:
        """The speaker embedding: one state for a whole utterance."""
        embedding = self.model.embeddings(batch.inputs.to(self.model.dtype), batch.samples)
        own = torch.ones(len(batch), 1, dtype=torch.bool, device=embedding.device)
        return embedding[:, None], own

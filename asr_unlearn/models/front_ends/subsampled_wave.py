"""The convolutions over the wave of OmniASR, which its encoder calls its subsampling."""

from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from asr_unlearn.models.front_ends.waveform import ConvFrontEnd


class SubsampledWaveFrontEnd(ConvFrontEnd):
    """Convolutions that belong to the encoder, with the projection of their features.

    They have layer norm, so that padding does not change an utterance's features.
    """

    part: ClassVar[str] = "subsampling"

    def _holder(self) -> nn.Module:
        backbone: Any = self.model.base_model
        encoder: nn.Module = backbone.audio_tower
        return encoder

    def _convolved(self, waves: Float[Tensor, "B S"]) -> Float[Tensor, "B C T"]:
        features: Tensor = self.layers(waves[:, None]).transpose(1, 2)
        return features

    def _called(
        self,
        model: nn.Module,
        features: Float[Tensor, "B T C"],
        mask: Int[Tensor, "B 1"],
        **inputs: Any,
    ) -> Any:
        return model(features, padding_mask=mask, **inputs)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        model: Any = self.model
        frames: Tensor = model._get_subsampling_output_length(samples)
        return frames

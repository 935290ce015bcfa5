"""The front end of a model, by its family."""

from typing import Any

from transformers import PreTrainedModel

from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.front_ends.ecapa_features import FbankFrontEnd
from asr_unlearn.models.front_ends.encoded_alone import MoonshineFrontEnd, Speech2TextFrontEnd
from asr_unlearn.models.front_ends.features import FeatureFrontEnd
from asr_unlearn.models.front_ends.fixed_spectrogram import FixedSpectrogramFrontEnd
from asr_unlearn.models.front_ends.front_end import FrontEnd
from asr_unlearn.models.front_ends.log_mel import LogMelFrontEnd
from asr_unlearn.models.front_ends.subsampled_wave import SubsampledWaveFrontEnd
from asr_unlearn.models.front_ends.tdnn_features import MelFrontEnd
from asr_unlearn.models.front_ends.waveform import ConvFrontEnd
from asr_unlearn.models.supported import FEATURE_MODELS
from asr_unlearn.models.tdnn import TdnnConfig

FRONT_ENDS: dict[str, Any] = {
    "moonshine": MoonshineFrontEnd,
    "speech_to_text": Speech2TextFrontEnd,
    "whisper": LogMelFrontEnd,
    "audio-spectrogram-transformer": FixedSpectrogramFrontEnd,
    "omniasr_ctc": SubsampledWaveFrontEnd,
    **dict.fromkeys(FEATURE_MODELS, FeatureFrontEnd),
    EcapaConfig.model_type: FbankFrontEnd,
    TdnnConfig.model_type: MelFrontEnd,
}


def front_end_for(model: PreTrainedModel, extractor: Any) -> FrontEnd:
    """The front end of a model; convolutions over the wave if its family has no other.

    Raises:
        InputError: the model has no such front end, or it does not fit the extractor.
    """
    front_end: FrontEnd = FRONT_ENDS.get(model.config.model_type, ConvFrontEnd)(model, extractor)
    return front_end

"""Feature extractors for models that are trained from a config."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import (
    ASTFeatureExtractor,
    AutoFeatureExtractor,
    GraniteSpeech5FeatureExtractor,
    LasrFeatureExtractor,
    OmniASRFeatureExtractor,
    ParakeetFeatureExtractor,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)

from asr_unlearn.models.ecapa import EcapaConfig
from asr_unlearn.models.whisper import feature_extractor
from asr_unlearn.runtime.errors import InputError

FILES = ("preprocessor_config.json", "processor_config.json")
# wav2vec2-bert's features are two frames side by side.
STACKED = 2


def padding_is_seen(config: Any) -> bool:
    """Whether the front end's group norm makes an utterance depend on its padding."""
    return bool(getattr(config, "feat_extract_norm", "layer") != "layer")


def wave_extractor(*, attention_mask: bool, normalised: bool = True) -> Wav2Vec2FeatureExtractor:
    """A feature extractor for 16 kHz mono waves.

    Args:
        attention_mask: whether the model takes one (those with layer-norm front ends).
        normalised: scale each wave to mean 0 and variance 1.
    """
    return Wav2Vec2FeatureExtractor(do_normalize=normalised, return_attention_mask=attention_mask)


def _stacked_mels(config: Any) -> SeamlessM4TFeatureExtractor:
    bands, rest = divmod(config.feature_projection_input_dim, STACKED)
    if rest:
        raise InputError(
            f"feature_projection_input_dim={config.feature_projection_input_dim}: give an even "
            "number, two frames of mel bands, or put a preprocessor_config.json beside config.json"
        )
    return SeamlessM4TFeatureExtractor(feature_size=bands, num_mel_bins=bands, stride=STACKED)


# By the family of the model, from its config.
EXTRACTORS: dict[str, Callable[[Any], Any]] = {
    "wav2vec2-bert": _stacked_mels,
    "parakeet_ctc": lambda c: ParakeetFeatureExtractor(feature_size=c.encoder_config.num_mel_bins),
    "lasr_ctc": lambda c: LasrFeatureExtractor(feature_size=c.encoder_config.num_mel_bins),
    "granite_speech5_ctc": lambda c: GraniteSpeech5FeatureExtractor(
        num_mel_bins=c.encoder_config.num_mel_bins
    ),
    "omniasr_ctc": lambda c: OmniASRFeatureExtractor(),
    "audio-spectrogram-transformer": lambda c: ASTFeatureExtractor(
        num_mel_bins=c.num_mel_bins, max_length=c.max_length
    ),
    EcapaConfig.model_type: lambda c: wave_extractor(attention_mask=True, normalised=False),
}


def extractor_for(source: Path, config: Any) -> Any:
    """The feature extractor of the file beside a config, else one that its settings determine.

    Models on the raw wave have one whatever is beside them.

    Raises:
        InputError: there is no file, and the settings do not determine it.
    """
    kind = config.model_type
    if kind == "whisper":
        return feature_extractor(source, config)
    if kind not in EXTRACTORS:
        return wave_extractor(attention_mask=not padding_is_seen(config))
    folder = source if source.is_dir() else source.parent
    if kind != EcapaConfig.model_type and any((folder / name).is_file() for name in FILES):
        return AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    return EXTRACTORS[kind](config)

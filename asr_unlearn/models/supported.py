"""The supported classes of models: wav2vec2 and similar, Whisper, ECAPA-TDNN and `TdnnForCTC`."""

from typing import Any, Literal

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_CTC_MAPPING_NAMES,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
)

from asr_unlearn.models.ecapa import EcapaConfig, EcapaForAudioClassification
from asr_unlearn.models.tdnn import TdnnConfig, TdnnForCTC

TaskName = Literal["ctc", "seq2seq", "classification"]

# Families with a convolutional front end that takes a raw wave.
WAVE_MODELS = (
    *("data2vec-audio", "hubert", "sew", "sew-d", "unispeech", "unispeech-sat"),
    *("wav2vec2", "wav2vec2-conformer", "wavlm"),
)
CLASSES: dict[TaskName, dict[str, str]] = {
    "ctc": {
        **{kind: MODEL_FOR_CTC_MAPPING_NAMES[kind] for kind in WAVE_MODELS},
        TdnnConfig.model_type: TdnnForCTC.__name__,
    },
    "seq2seq": {"whisper": MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES["whisper"]},
    "classification": {
        **{
            kind: MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES[kind]
            for kind in (*WAVE_MODELS, "whisper")
        },
        EcapaConfig.model_type: EcapaForAudioClassification.__name__,
    },
}


def unsupported(config: dict[str, Any], task: TaskName | None = None) -> str | None:
    """Why a model with this config cannot be used, for any task or for one; else None.

    Args:
        config: content of config.json; one without `model_type` is left to transformers.
        task: what the model is to be trained for, if that has been decided.
    """
    kind = config.get("model_type")
    classes = CLASSES if task is None else {task: CLASSES[task]}
    if not kind or any(kind in names for names in classes.values()):
        return None
    # The message names the family where only its head for the task is missing.
    named = config.get("architectures") if task is None else None
    supported = sorted({name for names in classes.values() for name in names.values()})
    purpose = "" if task is None else f" for {task}"
    return (
        f"{(named or [kind])[0]} (model_type {kind!r}) is not supported{purpose}; "
        f"use one of {', '.join(supported)}"
    )

"""The classes of models that are taken, and why the others that transformers has are refused."""

from typing import Any, Literal

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_CTC_MAPPING_NAMES,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES,
)

from asr_unlearn.models.ecapa import EcapaConfig, EcapaForAudioClassification
from asr_unlearn.models.tdnn import TdnnConfig, TdnnForCTC

TaskName = Literal["ctc", "seq2seq", "classification"]

# All classes that transformers has for each task, by their families.
MAPPINGS: dict[TaskName, dict[str, str]] = {
    "ctc": dict(MODEL_FOR_CTC_MAPPING_NAMES),
    "seq2seq": dict(MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES),
    "classification": dict(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES),
}
# Families with a convolutional front end that takes a raw wave.
WAVE_MODELS = (
    *("data2vec-audio", "hubert", "sew", "sew-d", "unispeech", "unispeech-sat"),
    *("wav2vec2", "wav2vec2-conformer", "wavlm"),
)
# Encoders that take features of any length.
FEATURE_MODELS = ("wav2vec2-bert", "parakeet_ctc", "lasr_ctc", "granite_speech5_ctc")
TAKEN: dict[TaskName, tuple[str, ...]] = {
    "ctc": (*WAVE_MODELS, *FEATURE_MODELS, "omniasr_ctc"),
    "seq2seq": ("moonshine", "speech_to_text", "whisper"),
    "classification": (
        *(*WAVE_MODELS, "whisper", "wav2vec2-bert"),
        "audio-spectrogram-transformer",
    ),
}
# Classes of transformers by the name of their family, for those of the installed release.
CLASSES: dict[TaskName, dict[str, str]] = {
    task: {kind: MAPPINGS[task][kind] for kind in kinds if kind in MAPPINGS[task]}
    for task, kinds in TAKEN.items()
}
CLASSES["ctc"][TdnnConfig.model_type] = TdnnForCTC.__name__
CLASSES["classification"][EcapaConfig.model_type] = EcapaForAudioClassification.__name__

CHAT = "a language model with an audio encoder: its loss covers a chat prompt"
PROMPT = "no rule for its prompt of languages and punctuation"
TRANSLATES = "a translator: it needs a target language"
# Why the other classes are refused, in one clause.
REFUSED: dict[TaskName, dict[str, str]] = {
    "ctc": {},
    "seq2seq": {
        "canary": PROMPT,
        "cohere_asr": PROMPT,
        "dia": "it reads text aloud",
        "fun_asr_nano": CHAT,
        "granite_speech": CHAT,
        "granite_speech_plus": CHAT,
        "kyutai_speech_to_text": "a language model over the audio's codes, frame by frame",
        "moonshine_streaming": "its decoder writes into the encoder's states, which are used twice",
        "omniasr": CHAT,
        "pop2piano": "it writes piano music",
        "qwen3_asr": CHAT,
        "seamless_m4t": TRANSLATES,
        "seamless_m4t_v2": TRANSLATES,
        "speech-encoder-decoder": "any encoder with any decoder, so its prompt is not known",
        "speecht5": "no front end for its speech pre-net, which is shared with synthesis",
        "vibevoice": "it reads text aloud",
        "vibevoice_asr": CHAT,
        "voxtral": CHAT,
        "voxtral_realtime": "it writes text frame by frame while it listens",
    },
    "classification": {},
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
    reasons = [REFUSED[name][kind] for name in classes if kind in REFUSED[name]]
    reason = f" ({reasons[0]})" if reasons else ""
    return (
        f"{(named or [kind])[0]} (model_type {kind!r}) is not supported{purpose}{reason}; "
        f"use one of {', '.join(supported)}"
    )

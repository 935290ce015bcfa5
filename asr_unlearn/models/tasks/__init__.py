"""The tasks: recognition by CTC or by a decoder, and classification."""

from typing import Any

import torch
from transformers import FeatureExtractionMixin, PreTrainedModel, PreTrainedTokenizerBase

from asr_unlearn.models.tasks.classification import Classification
from asr_unlearn.models.tasks.ctc import CTC
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.models.tasks.whisper_seq2seq import WhisperSeq2Seq
from asr_unlearn.runtime.errors import InputError

__all__ = ["CTC", "Classification", "Seq2Seq", "Task", "WhisperSeq2Seq", "task_for"]

TASKS: dict[str, type[CTC | Seq2Seq | Classification]] = {
    "ForCTC": CTC,
    "ForConditionalGeneration": Seq2Seq,
    "ForSequenceClassification": Classification,
    "ForAudioClassification": Classification,
}


def task_for(
    model: PreTrainedModel,
    processor: Any,
    device: torch.device | None = None,
    *,
    language: str | None = None,
    beams: int = 1,
) -> Task:
    """The task of a model's class; `beams` is for `Seq2Seq`, and `language` for a Whisper.

    Raises:
        InputError: no task has such models or their inputs, a language is given for a model without
            a choice of languages, or the processor lacks a half.
    """
    names = [cls.__name__ for cls in type(model).__mro__]
    for ending, task in TASKS.items():
        if any(name.endswith(ending) for name in names):
            _check_processor(processor, spells=task is not Classification)
            if task is Seq2Seq and model.config.model_type == "whisper":
                return WhisperSeq2Seq(model, processor, device, language=language, beams=beams)
            if language is not None:
                raise InputError(f"language {language!r}: {type(model).__name__} has no choice")
            if task is Seq2Seq:
                return Seq2Seq(model, processor, device, beams=beams)
            return task(model, processor, device)
    raise InputError(f"{type(model).__name__} is none of …{', …'.join(TASKS)}")


def _check_processor(processor: Any, *, spells: bool) -> None:
    """Raises InputError unless it has a feature extractor, and a tokenizer for a recogniser."""
    extractor = getattr(processor, "feature_extractor", processor)
    lacking = [] if isinstance(extractor, FeatureExtractionMixin) else ["feature extractor"]
    tokenizer = getattr(processor, "tokenizer", processor)
    if spells and not isinstance(tokenizer, PreTrainedTokenizerBase):
        lacking.append("tokenizer")
    if lacking:
        raise InputError(
            f"the processor, {type(processor).__name__}, has no {' and no '.join(lacking)}; give "
            "for instance Wav2Vec2Processor(feature_extractor, tokenizer)"
        )

"""Speech recognition with Whisper (Radford et al., 2022): its prompt, window and normalisation."""

from typing import Any

import torch
from transformers import PreTrainedModel

from asr_unlearn.data.spelling import Spelling
from asr_unlearn.models.front_ends.log_mel import LogMelFrontEnd
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.models.whisper import prompt_of, text_normaliser


class WhisperSeq2Seq(Seq2Seq):
    """Whisper and its processor; the prompt is start, language, task and no timestamps.

    Args:
        language: of a multilingual model; by default the one in its settings, or English.
        beams: of the search for transcripts; 1 is greedy.
    """

    front_end: LogMelFrontEnd

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        device: torch.device | None = None,
        *,
        language: str | None = None,
        beams: int = 1,
    ) -> None:
        self._language = language
        super().__init__(model, processor, device, beams=beams)
        self.normalised = text_normaliser(self.tokenizer)

    def _prompt(self) -> list[int]:
        return prompt_of(self.model, self.tokenizer, self._language)

    @property
    def longest_seconds(self) -> float:
        """Seconds of the window in use."""
        return self.front_end.window

    def _usual_spelling(self, text: str) -> Spelling:
        # OpenAI's models have hardly been trained on capitals, which LibriSpeech is written in.
        return "lower" if self.normalised is not None and text.isupper() else "as_given"

    def _compared(self, text: str) -> str:
        return text.strip() if self.normalised is None else self.normalised(text)

    def with_model(self, model: PreTrainedModel) -> "WhisperSeq2Seq":
        task = WhisperSeq2Seq(model, self.processor, beams=self.beams)
        task.front_end.set_window(self.front_end.window)
        return task

    def _search(self, size: int) -> dict[str, Any]:
        # Whisper's own generation writes the prompt.
        return {"return_timestamps": False}

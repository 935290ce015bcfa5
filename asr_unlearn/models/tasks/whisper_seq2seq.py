"""Speech recognition with Whisper (Radford et al., 2022): its prompt, window and normalisation."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import Spelling
from asr_unlearn.models.front_ends.log_mel import LogMelFrontEnd
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.models.whisper import (
    language_code,
    language_tokens,
    only_language,
    prompt_of,
    text_normaliser,
)
from asr_unlearn.runtime.errors import InputError


class WhisperSeq2Seq(Seq2Seq):
    """Whisper and its processor; the prompt is start, language, task and no timestamps.

    The language is that of the utterance, where the manifest has one, else the model's.

    Attributes:
        languages: the token of each language by its code; empty for a model without a choice.

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
        self._normalisers: dict[str, Callable[[str], str]] = {}
        # Both go through the whole vocabulary.
        self.languages = language_tokens(model, self.tokenizer)
        self._only = only_language(model, self.tokenizer)

    def _prompt(self) -> list[int]:
        return prompt_of(self.model, self.tokenizer, self._language)

    @property
    def longest_seconds(self) -> float:
        """Seconds of the window in use."""
        return self.front_end.window

    def _usual_spelling(self, text: str) -> Spelling:
        # OpenAI's models have hardly been trained on capitals, which LibriSpeech is written in.
        return "lower" if self.normalised is not None and text.isupper() else "as_given"

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """Token ids of the transcript and of its end; see `Seq2Seq.target`.

        Raises:
            InputError: also for an utterance in a language that the model does not transcribe.
        """
        if utterance.language is not None:
            try:
                self._check_language(utterance.language)
            except InputError as error:
                raise InputError(f"utterance {utterance.id}: {error}") from error
        return super().target(utterance)

    def _check_language(self, language: str) -> None:
        code = language_code(language)
        if code in self.languages or (not self.languages and code == self._only):
            return
        said = "does not transcribe it"
        if self._only is not None and not self.languages:
            said = f"transcribes {LANGUAGES[self._only].title()} only"
        raise InputError(f"language {LANGUAGES[code]!r}: the model {said}")

    def _prompts(self, batch: Batch) -> Int[Tensor, "B P"]:
        prompts = super()._prompts(batch)
        if not (batch.languages and self.languages):
            return prompts
        # The language follows the start.
        start, usual, *rest = self.prompt
        tokens = [
            usual if own is None else self.languages[language_code(own)] for own in batch.languages
        ]
        return prompts.new_tensor([[start, token, *rest] for token in tokens])

    @property
    def normalises(self) -> bool:
        """True for a vocabulary of OpenAI's."""
        return self.normalised is not None

    def compared(self, text: str, language: str | None) -> str:
        if self.normalised is None:
            return text
        return self.normalised(text) if language is None else self._normaliser(language)(text)

    def _normaliser(self, language: str) -> Callable[[str], str]:
        code = language_code(language)
        if code not in self._normalisers:
            self._normalisers[code] = text_normaliser(self.tokenizer, code) or str.strip
        return self._normalisers[code]

    def _of(self, model: PreTrainedModel) -> "WhisperSeq2Seq":
        task = WhisperSeq2Seq(model, self.processor, beams=self.beams)
        task.front_end.set_window(self.front_end.window)
        return task

    def _search(self, batch: Batch) -> dict[str, Any]:
        # Whisper's own generation writes the prompt.
        search: dict[str, Any] = {"return_timestamps": False}
        if batch.languages and self.languages:
            usual = language_code(self.tokenizer.language)
            search["language"] = [language_code(own or usual) for own in batch.languages]
        return search

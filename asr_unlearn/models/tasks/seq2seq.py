"""Speech recognition with an encoder and a decoder: Whisper (Radford et al., 2022)."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import Spelling, respelled
from asr_unlearn.models.front_ends.log_mel import LogMelFrontEnd
from asr_unlearn.models.tasks.confidence import ScoredBatch, certainty
from asr_unlearn.models.tasks.task import Task, check_labels
from asr_unlearn.models.whisper import prompt_of, text_normaliser
from asr_unlearn.runtime.errors import InputError

PADDING = -100


class Seq2Seq(Task):
    """Whisper and its processor.

    The decoder is given the prompt (start, language, task, no timestamps) and the labels so far.
    Targets are the labels after the prompt, the end of the text included, and losses are means
    over them: the prompt is given, and not part of the loss.

    Args:
        language: of a multilingual model; by default the one in its settings, or English.
        beams: of the search for transcripts; 1 is greedy.
    """

    generates: ClassVar[bool] = True
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
        super().__init__(
            model, processor, LogMelFrontEnd(model, processor.feature_extractor), device
        )
        self.beams = beams
        self.tokenizer = processor.tokenizer
        self.prompt = prompt_of(model, self.tokenizer, language)
        self.normalised = text_normaliser(self.tokenizer)
        self.longest_target: int = model.config.max_target_positions + 1 - len(self.prompt)

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """Token ids of the transcript and of its end.

        It is spelled as the model writes.

        Raises:
            InputError: the utterance has no transcript, one that the vocabulary cannot spell, or
                one longer than the decoder takes; its audio is longer than the encoder takes; or
                the head has no output for one of the labels.
        """
        if not utterance.text:
            raise InputError(f"utterance {utterance.id} has no transcript")
        window = self.front_end.window
        if utterance.seconds > window:
            raise InputError(
                f"utterance {utterance.id} has {utterance.seconds:.1f} s; the encoder's window "
                f"holds {window:g} s: leave it out of the manifest, or cut it"
            )
        text = self._spelled(utterance.text)
        labels = self.tokenizer(text, add_special_tokens=False).input_ids
        if self._text(labels) != text:
            raise InputError(f"utterance {utterance.id}: the vocabulary cannot spell {text!r}")
        labels = [*labels, self.tokenizer.eos_token_id]
        model: Any = self.model
        check_labels(utterance, [*self.prompt, *labels], model.proj_out.weight.shape[0])
        target = torch.tensor(labels)
        if not self.fits(target, 0):
            raise InputError(
                f"utterance {utterance.id}: a transcript of {len(target)} tokens; "
                f"the decoder takes {self.longest_target}"
            )
        return target

    def _text(self, labels: list[int]) -> str:
        text: str = self.tokenizer.decode(labels, clean_up_tokenization_spaces=False)
        return text

    @property
    def spelling(self) -> Spelling | None:
        """How the model spells transcripts, by its config; None if it is not chosen yet."""
        recorded: Spelling | None = getattr(self.model.config, "transcript_spelling", None)
        return recorded

    def _spelled(self, text: str) -> str:
        if self.spelling is not None:
            return respelled(text, self.spelling)
        # OpenAI's models have hardly been trained on capitals, which LibriSpeech is written in.
        capitals = self.normalised is not None and text.isupper()
        return respelled(text, "lower") if capitals else text

    def reference(self, utterance: Utterance) -> str:
        return self._compared(self._spelled(utterance.text or ""))

    def _compared(self, text: str) -> str:
        return text.strip() if self.normalised is None else self.normalised(text)

    def _decoder_inputs(self, batch: Batch) -> Int[Tensor, "B P"]:
        """The prompt and all labels but the last, padded."""
        prompt = torch.tensor(self.prompt, device=batch.targets.device)
        labels = batch.targets[:, :-1].masked_fill(batch.targets[:, :-1] == PADDING, prompt[0])
        return torch.cat([prompt.expand(len(batch), -1), labels], dim=1)

    def _output(self, batch: Batch) -> Any:
        tokens = self._decoder_inputs(batch)
        return self.front_end.output(batch, decoder_input_ids=tokens, use_cache=False)

    def _logits(self, output: Any) -> Float[Tensor, "B L V"]:
        logits: Tensor = output.logits[:, len(self.prompt) - 1 :]
        return logits

    def logits(self, batch: Batch) -> Float[Tensor, "B L V"]:
        """Unnormalised log-probabilities of each label, given those before it."""
        return self._logits(self._output(batch))

    def losses_from_logits(
        self, logits: Float[Tensor, "B L V"], batch: Batch
    ) -> Float[Tensor, " B"]:
        """Cross-entropy, mean over the labels of each utterance."""
        each = F.cross_entropy(
            logits.float().transpose(1, 2), batch.targets, ignore_index=PADDING, reduction="none"
        )
        return each.sum(1) / batch.target_lengths

    def distributions_from_logits(
        self, logits: Float[Tensor, "B L V"], batch: Batch
    ) -> tuple[Float[Tensor, "B L V"], Bool[Tensor, "B L"]]:
        return logits.float().log_softmax(-1), batch.targets != PADDING

    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """The decoder has a place for so many tokens, however long the utterance is."""
        return len(target) <= self.longest_target

    def with_model(self, model: PreTrainedModel) -> "Seq2Seq":
        task = Seq2Seq(model, self.processor, beams=self.beams)
        task.front_end.set_window(self.front_end.window)
        return task

    def layers(self) -> list[nn.Module]:
        """The layers of the encoder and of the decoder, and the output projection."""
        model: Any = self.model
        return [*model.model.encoder.layers, *model.model.decoder.layers, model.proj_out]

    def transcripts(self, encoded: Float[Tensor, "B T C"]) -> list[str]:
        """The decoder's transcripts for the encoder's states, spelled as references are."""
        model: Any = self.model
        tokens = model.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=torch.ones_like(encoded[:, :, 0], dtype=torch.long),
            max_length=self.model.config.max_target_positions,
            num_beams=self.beams,
            do_sample=False,
            return_timestamps=False,
        )
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [self._compared(text) for text in texts]

    def score(self, batch: Batch) -> ScoredBatch:
        """Losses and certainty given the reference labels, and generated transcripts."""
        output = self._output(batch)
        logits = self._logits(output)
        return ScoredBatch(
            self.losses_from_logits(logits, batch),
            self.transcripts(output.encoder_last_hidden_state),
            certainty(*self.distributions_from_logits(logits, batch)),
        )

"""Speech recognition with an encoder and a decoder that writes text."""

import math
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import Spelling, respelled, tokenizer_spelling
from asr_unlearn.models.front_ends.choice import front_end_for
from asr_unlearn.models.tasks.confidence import ScoredBatch, certainty
from asr_unlearn.models.tasks.task import Task, check_labels
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.sharding import is_sharded

PADDING = -100
# The names that the output layer and the decoder's number of positions have in the models' classes.
HEADS = ("proj_out", "lm_head")
POSITIONS = ("max_target_positions", "max_position_embeddings")


class Seq2Seq(Task):
    """An encoder-decoder and its processor.

    The decoder is given the prompt and the labels so far. Targets are the labels after the prompt,
    the end of the text included, and losses are means over them: the prompt is given, and not part
    of the loss.

    Args:
        beams: of the search for transcripts; 1 is greedy.

    Raises:
        InputError: model and tokenizer have other tokens for the start or the end of a text.
    """

    generates: ClassVar[bool] = True

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        device: torch.device | None = None,
        *,
        beams: int = 1,
    ) -> None:
        front_end = front_end_for(model, processor.feature_extractor)
        super().__init__(model, processor, front_end, device)
        self.beams = beams
        self.tokenizer = processor.tokenizer
        self.head: Any = next(getattr(model, name) for name in HEADS if hasattr(model, name))
        self.prompt = self._prompt()
        self.longest_target: int = self.positions + 1 - len(self.prompt)

    def _prompt(self) -> list[int]:
        """The tokens before every text: the start, and those that the tokenizer begins with."""
        config: Any = self.model.config
        start = config.decoder_start_token_id
        start = config.bos_token_id if start is None else start
        end = self.tokenizer.eos_token_id
        if start is None or end is None or end != config.eos_token_id:
            raise InputError(
                f"decoder_start_token_id of config.json is {start}; the end of a text is "
                f"{config.eos_token_id} by eos_token_id of config.json, and {end} by eos_token of "
                "the tokenizer: give the model the tokenizer that it was trained with"
            )
        return [start, *getattr(self.tokenizer, "prefix_tokens", [])]

    @property
    def positions(self) -> int:
        """How many tokens the decoder takes."""
        config: Any = self.model.config
        found: int = next(getattr(config, name) for name in POSITIONS if hasattr(config, name))
        return found

    @property
    def longest_seconds(self) -> float:
        """Seconds of the longest utterance that the encoder takes."""
        return math.inf

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
        longest = self.longest_seconds
        if utterance.seconds > longest:
            raise InputError(
                f"utterance {utterance.id} has {utterance.seconds:.1f} s; the encoder's window "
                f"holds {longest:g} s: leave it out of the manifest, or cut it"
            )
        text = self._spelled(utterance.text)
        # Some tokenizers have pieces in lower case, and write capitals.
        pieces = text.lower() if getattr(self.tokenizer, "do_upper_case", False) else text
        labels = self.tokenizer(pieces, add_special_tokens=False).input_ids
        if self._text(labels) != text:
            raise InputError(f"utterance {utterance.id}: the vocabulary cannot spell {text!r}")
        labels = [*labels, self.tokenizer.eos_token_id]
        check_labels(utterance, [*self.prompt, *labels], len(self.head.weight))
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
        return respelled(text, self.spelling or self._usual_spelling(text))

    def _usual_spelling(self, text: str) -> Spelling:
        """The spelling of a text where none has been chosen: the case of the vocabulary."""
        return tokenizer_spelling(self.tokenizer)

    def written_reference(self, utterance: Utterance) -> str:
        return self._spelled(utterance.text or "").strip()

    def _decoder_inputs(self, batch: Batch) -> Int[Tensor, "B P"]:
        """The prompt and all labels but the last, padded."""
        prompts = self._prompts(batch)
        labels = batch.targets[:, :-1]
        # What the decoder is given behind the end of a text means nothing.
        filled = labels.masked_fill(labels == PADDING, self.prompt[0])
        return torch.cat([prompts, filled], dim=1)

    def _prompts(self, batch: Batch) -> Int[Tensor, "B P"]:
        """The prompt of each utterance."""
        prompt = torch.tensor(self.prompt, device=batch.targets.device)
        return prompt.expand(len(batch), -1)

    def _output(self, batch: Batch) -> Any:
        tokens = self._decoder_inputs(batch)
        return self.output(batch, decoder_input_ids=tokens, use_cache=False)

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

    def _of(self, model: PreTrainedModel) -> "Seq2Seq":
        return type(self)(model, self.processor, beams=self.beams)

    def layers(self) -> list[nn.Module]:
        """The layers of the encoder and of the decoder, and the output projection."""
        model: Any = self.model
        return [*model.model.encoder.layers, *model.model.decoder.layers, self.head]

    def transcripts(self, encoded: Float[Tensor, "B T C"], batch: Batch) -> list[str]:
        """What the decoder writes for the encoder's states.

        Raises:
            InputError: the model is sharded.
        """
        if is_sharded(self.model):
            raise InputError(
                "--compute.shard: a decoder whose weights are spread writes no transcripts; stop "
                "by the loss (--stop.on loss)"
            )
        model: Any = self.model
        with self.compute.autocast(self.device):
            tokens = model.generate(
                **self.front_end.encoded(encoded, batch),
                **self._search(batch),
                max_length=self.positions,
                num_beams=self.beams,
                do_sample=False,
            )
        return [text for (text,) in self._texts(tokens, batch)]

    def best_transcripts(self, batch: Batch, count: int) -> list[list[str]]:
        """The likeliest transcripts of each utterance that a search with as many beams finds.

        The likeliest is the first. None is longer than twice the longest target: a decoder that
        repeats words would write until the longest length.
        """
        longest = len(self.prompt) + 2 * batch.targets.shape[1]
        encoded = self._output(batch).encoder_last_hidden_state
        with self.compute.autocast(self.device):
            # Whisper's own generation gives no more than one transcript for given states.
            tokens: Any = GenerationMixin.generate(
                cast(Any, self.model),
                **self.front_end.encoded(encoded, batch),
                decoder_input_ids=self._prompts(batch).contiguous(),
                max_length=min(longest, self.positions),
                num_beams=count,
                num_return_sequences=count,
                do_sample=False,
            )
        return self._texts(tokens, batch)

    def _texts(self, tokens: Int[Tensor, "N L"], batch: Batch) -> list[list[str]]:
        """The texts of each utterance, which has as many rows of tokens as the others."""
        found = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        texts = [text.strip() for text in found]
        count = len(texts) // len(batch)
        return [texts[i : i + count] for i in range(0, len(texts), count)]

    def _search(self, batch: Batch) -> dict[str, Any]:
        """What the search for transcripts is given beside the encoder's states."""
        return {"decoder_input_ids": self._prompts(batch).contiguous()}

    def score(self, batch: Batch) -> ScoredBatch:
        """Losses and certainty given the reference labels, and generated transcripts."""
        output = self._output(batch)
        logits = self._logits(output)
        return ScoredBatch(
            self.losses_from_logits(logits, batch),
            self.transcripts(output.encoder_last_hidden_state, batch),
            certainty(*self.distributions_from_logits(logits, batch)),
        )

"""Speech recognition with connectionist temporal classification (Graves et al., 2006).

Works with the models that `AutoModelForCTC` loads, and with `TdnnForCTC`. The vocabulary is one of
characters or of subwords.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, Wav2Vec2CTCTokenizer

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import NAMES, respelled, tokenizer_spelling
from asr_unlearn.models.front_ends.choice import front_end_for
from asr_unlearn.models.tasks.confidence import ScoredBatch, certainty
from asr_unlearn.models.tasks.task import Task, check_labels, layers_of
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once

# The names that the output layer has in the models' classes.
CTC_HEADS = ("lm_head", "ctc_head")


class CTC(Task):
    """A CTC recogniser and its processor."""

    not_finite = "a transcript longer than its frames, or a model that has diverged"

    def __init__(
        self, model: PreTrainedModel, processor: Any, device: torch.device | None = None
    ) -> None:
        front_end = front_end_for(model, getattr(processor, "feature_extractor", None))
        super().__init__(model, processor, front_end, device)
        self.head_name = head_name(model)
        self.head: Any = getattr(model, self.head_name)
        self.blank = blank_of(model)
        _check_blank(model, processor.tokenizer)
        self.spelling = tokenizer_spelling(processor.tokenizer)

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """The ids of the transcript's characters or subwords, in the case of the vocabulary.

        Raises:
            InputError: the utterance has no transcript, or one with marks of the vocabulary or
                characters outside it; or the head has no output for one of the labels.
        """
        if not utterance.text:
            raise InputError(f"utterance {utterance.id} has no transcript")
        if marks := [mark for mark in self._marks() if mark in utterance.text]:
            raise InputError(
                f"utterance {utterance.id}: {' '.join(map(repr, marks))} in {utterance.text!r}: "
                "the vocabulary has it for a mark, not for a character; write words and spaces "
                "only, or leave the utterance out"
            )
        text = self.written_reference(utterance)
        labels = self._labels(text)
        if labels is None:
            raise InputError(f"utterance {utterance.id}: {self._lacking(text)}")
        if text != utterance.text:
            warn_once(f"transcripts are spelled {NAMES[self.spelling]}, as the model writes")
        check_labels(utterance, labels, len(self.head.weight))
        return torch.tensor(labels, dtype=torch.long)

    def _labels(self, text: str) -> list[int] | None:
        """The ids of a text; None if the vocabulary lacks some of it."""
        tokenizer = self.processor.tokenizer
        # Without an unknown token the id is None, and calling the tokenizer would fail.
        labels: list[Any] = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
        return None if {None, tokenizer.unk_token_id} & set(labels) else labels

    def _lacking(self, text: str) -> str:
        """The message for characters of a transcript that the vocabulary lacks."""
        lacking = " ".join(repr(c) for c in dict.fromkeys(text) if self._labels(c) is None)
        said = f"the vocabulary lacks {lacking or 'a character'} of {text!r}"
        for case, spelling in (("lower", text.lower()), ("upper", text.upper())):
            if self._labels(spelling) is not None:
                return f"{said}: the model writes {case} case; spell the manifest's transcripts so"
        return f"{said}: spell it with the model's characters, or leave it out"

    def _marks(self) -> list[str]:
        """The tokens that are no characters: blank, unknown, sentence ends, word delimiter."""
        names = ("pad_token", "unk_token", "bos_token", "eos_token", "word_delimiter_token")
        marks = {getattr(self.processor.tokenizer, name, None) for name in names}
        return sorted(mark for mark in marks if mark and mark != " ")

    def written_reference(self, utterance: Utterance) -> str:
        return respelled(utterance.text or "", self.spelling)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """CTC frames of waves with that many samples."""
        return self.front_end.frames(samples)

    def logits(self, batch: Batch) -> Float[Tensor, "B T V"]:
        """Unnormalised log-probabilities per frame; those after an utterance's end mean nothing."""
        logits: Tensor = self.output(batch).logits
        return logits

    def losses_from_logits(
        self, logits: Float[Tensor, "B T V"], batch: Batch
    ) -> Float[Tensor, " B"]:
        """CTC loss summed over frames, divided by the number of labels, per utterance."""
        summed = F.ctc_loss(
            logits.float().log_softmax(-1).transpose(0, 1),
            batch.targets.clamp(min=0),
            self.frames(batch.samples),
            batch.target_lengths,
            blank=self.blank,
            reduction="none",
        )
        return summed / batch.target_lengths

    def distributions_from_logits(
        self, logits: Float[Tensor, "B T V"], batch: Batch
    ) -> tuple[Float[Tensor, "B T V"], Bool[Tensor, "B T"]]:
        return logits.float().log_softmax(-1), self.front_end.is_true(logits.shape[1], batch)

    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """CTC needs a frame for each label, and one more between two equal labels."""
        repeats = int((target[1:] == target[:-1]).sum())
        return len(target) + repeats <= int(self.frames(torch.tensor([samples])))

    def _of(self, model: PreTrainedModel) -> "CTC":
        return CTC(model, self.processor)

    def layers(self) -> list[nn.Module]:
        """The encoder's layers and the output projection."""
        return layers_of(self.model, self.head_name)

    def transcripts(self, logits: Float[Tensor, "B T V"], batch: Batch) -> list[str]:
        """Best path, repeats and blanks removed."""
        own = self.front_end.is_true(logits.shape[1], batch)
        paths = zip(logits.argmax(-1).cpu(), own.cpu(), strict=True)
        return [self._text(path[true].unique_consecutive()) for path, true in paths]

    def _text(self, labels: Int[Tensor, " frames"]) -> str:
        """The text of labels, blanks left out; two equal ones with a blank between them are two."""
        tokenizer = self.processor.tokenizer
        # A character tokenizer writes its marks; a tokenizer of subwords would join them to words.
        marks = isinstance(tokenizer, Wav2Vec2CTCTokenizer)
        ids = labels[labels != self.blank].tolist()
        text: str = tokenizer.decode(ids, group_tokens=False, skip_special_tokens=not marks)
        return text

    def score(self, batch: Batch) -> ScoredBatch:
        """Losses, transcripts and certainty from one forward pass."""
        logits = self.logits(batch)
        return ScoredBatch(
            self.losses_from_logits(logits, batch),
            self.transcripts(logits, batch),
            certainty(*self.distributions_from_logits(logits, batch)),
        )


def head_name(model: PreTrainedModel) -> str:
    """The name of the layer that gives the logits.

    Raises:
        InputError: the model has none of a name that such layers have.
    """
    for name in CTC_HEADS:
        if isinstance(getattr(model, name, None), nn.Module):
            return name
    raise InputError(f"{type(model).__name__} has no output layer {' or '.join(CTC_HEADS)}")


def blank_of(model: PreTrainedModel) -> int:
    """The label of the CTC blank: that of its own name in the config, else that of padding."""
    config: Any = model.config
    stated: int | None = getattr(config, "blank_token_id", None)
    padding: int = config.pad_token_id
    return padding if stated is None else stated


def _check_blank(model: PreTrainedModel, tokenizer: Any) -> None:
    """Raises InputError unless loss and decoding have the same blank.

    A model whose config names the blank has a padding token beside it.
    """
    trained, decoded = model.config.pad_token_id, tokenizer.pad_token_id
    if getattr(model.config, "blank_token_id", None) is None and trained != decoded:
        raise InputError(
            f"the CTC blank is {trained} by pad_token_id of config.json, but {decoded} "
            f"({tokenizer.pad_token!r}) by pad_token of the tokenizer: set the wrong one to the "
            "blank that the model was trained with"
        )

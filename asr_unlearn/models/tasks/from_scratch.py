"""Further losses and noise that help a Whisper train from random weights.

Without them the decoder first becomes a language model that ignores the encoder: six epochs of AN4
leave a WER of 96%. The saved model has none of this.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.batching import Batch, Example, collate
from asr_unlearn.models.tasks.task import check_finite
from asr_unlearn.models.tasks.whisper_seq2seq import WhisperSeq2Seq
from asr_unlearn.runtime.errors import InputError

HEAD = "auxiliary_ctc"


@dataclass(frozen=True)
class TrainingAids:
    """How much each aid is used.

    Attributes:
        ctc: share of a CTC loss on the encoder's states in the loss.
        token_noise: share of the decoder's input tokens that are replaced by random ones, so that
            it cannot rely on them alone.
        joined: probability that an utterance is followed by another of its batch, so that the
            decoder does not memorise transcripts by their first words.

    Raises:
        InputError: one of them is not between 0 and 1.
    """

    ctc: float = 0.0
    token_noise: float = 0.0
    joined: float = 0.0

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if not 0 <= share <= 1:
                raise InputError(f"{name}={share} is not between 0 and 1")

    def __bool__(self) -> bool:
        return any(vars(self).values())


class Seq2SeqFromScratch(WhisperSeq2Seq):
    """Whisper in training from random weights.

    The loss of an utterance is (1 − λ)·(cross-entropy of the decoder) + λ·(CTC loss of the
    encoder), each a mean over labels (joint CTC-attention training: Kim, Hori and Watanabe,
    arXiv 1609.06773). The CTC head is a linear layer that belongs to the model until
    `remove_head`, so that it is trained, checkpointed and resumed with it. Noise and joining
    draw from torch's generator, and only while the model is in training mode.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        device: torch.device | None,
        aids: TrainingAids,
    ) -> None:
        # The blank is the label after the vocabulary.
        self.blank: int = model.config.vocab_size
        model.add_module(HEAD, nn.Linear(model.config.d_model, self.blank + 1))
        super().__init__(model, processor, device)
        self.aids = aids
        self.characters = min(self.tokenizer.all_special_ids)
        (self.space,) = self.tokenizer(" ", add_special_tokens=False).input_ids

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """The weighted sum of both losses.

        Raises:
            NonFiniteLossError: naming the utterances whose loss is not finite.
        """
        if self.model.training and self.aids.joined:
            batch = self._joined(batch)
        output = self._output(batch)
        losses = (1 - self.aids.ctc) * self.losses_from_logits(self._logits(output), batch)
        if self.aids.ctc:
            encoded = output.encoder_last_hidden_state
            losses = losses + self.aids.ctc * self._ctc_losses(encoded, batch)
        check_finite(losses, batch.ids, "the model has diverged")
        return losses

    def _ctc_losses(self, encoded: Float[Tensor, "B T C"], batch: Batch) -> Float[Tensor, " B"]:
        """CTC losses of the labels without the end of the text; 0 where the frames are too few."""
        head = getattr(self.model, HEAD)
        lengths = batch.target_lengths - 1
        summed = F.ctc_loss(
            head(encoded.to(head.weight.dtype)).float().log_softmax(-1).transpose(0, 1),
            batch.targets.clamp(min=0),
            self.front_end.is_true(encoded.shape[1], batch).sum(1),
            lengths,
            blank=self.blank,
            reduction="none",
            zero_infinity=True,
        )
        return summed / lengths

    def _decoder_inputs(self, batch: Batch) -> Int[Tensor, "B P"]:
        tokens = super()._decoder_inputs(batch)
        if not (self.model.training and self.aids.token_noise):
            return tokens
        wrong = torch.rand(tokens.shape, device=tokens.device) < self.aids.token_noise
        wrong[:, : len(self.prompt)] = False
        noise = torch.randint_like(tokens, self.characters)
        return torch.where(wrong, noise, tokens)

    def _joined(self, batch: Batch) -> Batch:
        """The batch with some utterances followed by another, a space between the texts."""
        partners = torch.randperm(len(batch)).tolist()
        drawn = (torch.rand(len(batch)) < self.aids.joined).tolist()
        alone = self._parted(batch)
        pairs = [self._after(alone[i], alone[j]) for i, j in enumerate(partners)]
        chosen = [
            pair if take and self._has_room(pair) else single
            for pair, take, single in zip(pairs, drawn, alone, strict=True)
        ]
        return collate(chosen).to(batch.samples.device)

    def _parted(self, batch: Batch) -> list[Example]:
        """The utterances of a batch, without the padding."""
        frames = self.front_end.frames(batch.samples).tolist()
        return [
            Example(name, own[:length], int(samples), labels[:count], language)
            for name, own, length, samples, labels, count, language in zip(
                batch.ids,
                batch.inputs,
                frames,
                batch.samples,
                batch.targets,
                batch.target_lengths,
                batch.languages or [None] * len(batch),
                strict=True,
            )
        ]

    def _after(self, first: Example, second: Example) -> Example:
        """One utterance followed by another; the end of the first text becomes a space."""
        hop = self.front_end.extractor.hop_length
        # The frames that begin within the wave: the window of a later one may lie outside it.
        kept = first.samples // hop
        space = first.target.new_tensor([self.space])
        return Example(
            first.id,
            torch.cat([first.input[:kept], second.input]),
            kept * hop + second.samples,
            torch.cat([first.target[:-1], space, second.target]),
            first.language,
        )

    def _has_room(self, example: Example) -> bool:
        return len(example.input) <= self.front_end.length and self.fits(example.target, 0)


def remove_head(model: nn.Module) -> None:
    """Remove the CTC head of a model that was trained from scratch."""
    if hasattr(model, HEAD):
        delattr(model, HEAD)

"""Speech recognition with connectionist temporal classification (Graves et al., 2006).

Works with whatever `AutoModelForCTC` loads that hears a raw wave through a convolutional front
end: wav2vec2, HuBERT, WavLM, Data2Vec, UniSpeech, SEW and their kin.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.audio import SAMPLE_RATE
from asr_unlearn.batching import Batch
from asr_unlearn.manifest import Utterance
from asr_unlearn.models import padding_is_seen

# Behind the front end these let padding leak into true frames (by 1e-4 to 4e-2 in the loss).
LEAKS_PADDING = {"data2vec-audio", "wav2vec2-conformer", "sew", "sew-d"}


class NonFiniteLossError(ValueError):
    """A loss or gradient that is not a number; the message names the utterances."""


class _PassThrough(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features


@contextmanager
def fed_with_features(model: PreTrainedModel) -> Iterator[None]:
    """Within: `model(features [B, C, T])` starts behind the convolutional front end."""
    backbone: Any = model.base_model
    front_end = backbone.feature_extractor
    backbone.feature_extractor = _PassThrough()
    try:
        yield
    finally:
        backbone.feature_extractor = front_end


def fingerprint(module: nn.Module) -> str:
    """First 16 hex digits of the SHA-256 of a module's parameters and buffers, names included."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


class CTC:
    """A CTC recogniser and its processor.

    Every utterance is computed as if it were alone: a front end with layer norm takes padded
    batches (exact under the attention mask); one with group norm, which sees padding, is run
    utterance by utterance, and the features are padded instead. The few families that leak padding
    further up (`LEAKS_PADDING`) are scored one by one, and trained in batches all the same.
    """

    def __init__(
        self, model: PreTrainedModel, processor: Any, device: torch.device | None = None
    ) -> None:
        if not hasattr(model.base_model, "feature_extractor"):
            raise TypeError(
                f"{type(model).__name__} has no convolutional front end; "
                "use a CTC model that takes a raw wave, such as Wav2Vec2ForCTC"
            )
        self.model = model if device is None else nn.Module.to(model, device)
        self.processor = processor
        backbone: Any = model.base_model
        self.front_end = backbone.feature_extractor
        # Without this a gradient with respect to the wave itself is computed, and thrown away.
        self.front_end._requires_grad = False
        self._sees_padding = padding_is_seen(model.config)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def batches_are_exact(self) -> bool:
        """Whether an utterance in a padded batch gives what it gives alone."""
        return self.model.config.model_type not in LEAKS_PADDING

    @property
    def front_end_is_frozen(self) -> bool:
        return not any(p.requires_grad for p in self.front_end.parameters())

    def freeze_front_end(self) -> None:
        """Keep the convolutional front end as it is; its features can then be cached."""
        self.front_end.requires_grad_(False)

    def cache_key(self) -> str | None:
        return fingerprint(self.front_end) if self.front_end_is_frozen else None

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """The normalised wave [samples], or with a frozen front end its features [T, C]."""
        extractor = self.processor.feature_extractor
        encoded = extractor(audio, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        values: Tensor = encoded.input_values[0]
        if not self.front_end_is_frozen:
            return values
        with torch.no_grad():
            features = self.front_end(values[None].to(self.device, self.model.dtype))
        framed: Tensor = features[0].T.contiguous().cpu()
        return framed

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """Character ids of the transcript.

        Raises:
            ValueError: the utterance has no transcript, or one with characters outside the
                model's vocabulary.
        """
        if not utterance.text:
            raise ValueError(f"utterance {utterance.id} has no transcript")
        tokenizer = self.processor.tokenizer
        labels = tokenizer(utterance.text, add_special_tokens=False).input_ids
        if tokenizer.unk_token_id in labels:
            raise ValueError(
                f"utterance {utterance.id}: the vocabulary lacks a character of {utterance.text!r}"
            )
        return torch.tensor(labels, dtype=torch.long)

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """CTC frames of waves with that many samples."""
        model: Any = self.model
        frames: Tensor = model._get_feat_extract_output_lengths(samples)
        return frames

    def logits(self, batch: Batch) -> Float[Tensor, "B T V"]:
        """Unnormalised log-probabilities per frame; frames past an utterance's end are void."""
        return self._behind_front_end(self._features(batch), batch.samples)

    def _features(self, batch: Batch) -> Float[Tensor, "B T C"]:
        inputs = batch.inputs.to(self.model.dtype)
        if inputs.dim() == 3:
            return inputs
        if not self._sees_padding:
            features: Tensor = self.front_end(inputs).transpose(1, 2)
            return features
        alone = [
            self.front_end(wave[None, :length])[0].T
            for wave, length in zip(inputs, batch.samples.tolist(), strict=True)
        ]
        return nn.utils.rnn.pad_sequence(alone, batch_first=True)

    def _behind_front_end(
        self, features: Float[Tensor, "B T C"], samples: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T V"]:
        # The models sum the attention mask over samples to find each utterance's length, so one
        # column that holds the length says the same as a [B, samples] mask.
        with fed_with_features(self.model):
            output = self.model(features.transpose(1, 2), attention_mask=samples[:, None])
        logits: Tensor = output.logits
        return logits

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """CTC loss summed over frames, divided by the number of labels, per utterance.

        Raises:
            NonFiniteLossError: naming the utterances whose loss is not finite.
        """
        losses = self.losses_from_logits(self.logits(batch), batch)
        if not torch.isfinite(losses).all():
            finite = torch.isfinite(losses).tolist()
            names = [i for i, fine in zip(batch.ids, finite, strict=True) if not fine]
            raise NonFiniteLossError(
                f"the CTC loss of {', '.join(names)} is not finite: "
                "a transcript longer than its frames, or a model that has diverged"
            )
        return losses

    def losses_from_logits(
        self, logits: Float[Tensor, "B T V"], batch: Batch
    ) -> Float[Tensor, " B"]:
        summed = F.ctc_loss(
            logits.float().log_softmax(-1).transpose(0, 1),
            batch.targets.clamp(min=0),
            self.frames(batch.samples),
            batch.target_lengths,
            blank=self.model.config.pad_token_id,
            reduction="none",
        )
        return summed / batch.target_lengths

    def distributions(self, batch: Batch) -> tuple[Float[Tensor, "B T V"], Bool[Tensor, "B T"]]:
        """Log-probabilities of every frame, and which frames are an utterance's own."""
        logits = self.logits(batch)
        return logits.float().log_softmax(-1), self._is_true(logits, batch)

    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """CTC needs a frame a label, and one more between two that are the same."""
        repeats = int((target[1:] == target[:-1]).sum())
        return len(target) + repeats <= int(self.frames(torch.tensor([samples])))

    def with_model(self, model: PreTrainedModel) -> "CTC":
        return CTC(model, self.processor)

    def layers(self) -> list[nn.Module]:
        """The transformer's layers and the output projection."""
        backbone: Any = self.model.base_model
        model: Any = self.model
        return [*backbone.encoder.layers, model.lm_head]

    def _is_true(self, logits: Float[Tensor, "B T V"], batch: Batch) -> Bool[Tensor, "B T"]:
        frames = torch.arange(logits.shape[1], device=logits.device)
        return frames < self.frames(batch.samples)[:, None]

    def transcripts(self, logits: Float[Tensor, "B T V"], batch: Batch) -> list[str]:
        """Best path, repeats and blanks removed."""
        best = logits.argmax(-1)
        blank = self.model.config.pad_token_id
        own = best.masked_fill(~self._is_true(logits, batch), blank)
        texts: list[str] = self.processor.batch_decode(own)
        return texts

    def score(self, batch: Batch) -> tuple[Float[Tensor, " B"], list[str]]:
        """Losses and transcripts from one forward pass."""
        logits = self.logits(batch)
        return self.losses_from_logits(logits, batch), self.transcripts(logits, batch)

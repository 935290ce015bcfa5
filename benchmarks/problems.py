"""Models of real size with random weights, and batches of noise: cost depends on neither."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from asr_unlearn.models.tasks.compute import FULL, Compute

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Batch:
    """Front-end features [B, C, T] or log-mels [B, M, S]; labels [B, L], padded; their lengths."""

    inputs: Tensor
    labels: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.inputs.to(device), self.labels.to(device), self.lengths.to(device))

    def part(self, start: int, stop: int) -> "Batch":
        cut = slice(start, stop)
        return Batch(self.inputs[cut], self.labels[cut], self.lengths[cut])


@dataclass(frozen=True)
class Problem:
    """A model in eval mode, its arguments, and the losses of its logits."""

    model: nn.Module
    arguments: Callable[[Batch], dict[str, Tensor]]
    from_logits: Callable[[Tensor, Batch], Tensor]
    batch: Callable[[int, int], Batch]
    """Makes a batch from a seed and a number of utterances."""
    compute: Compute = FULL

    def losses(self, batch: Batch) -> Tensor:
        """One loss per utterance, shape [B]."""
        with self.compute.autocast(batch.inputs.device):
            logits: Tensor = self.model(**self.arguments(batch)).logits
        return self.from_logits(logits.float(), batch)


class _PassThrough(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features


def _ctc(config: Wav2Vec2Config, seconds: float) -> Problem:
    """A CTC recogniser behind a frozen front end, whose cached features are its inputs."""
    model = Wav2Vec2ForCTC(config).eval()
    model.freeze_feature_encoder()
    model.wav2vec2.feature_extractor = _PassThrough()
    frames = int(model._get_feat_extract_output_lengths(int(seconds * SAMPLE_RATE)))

    def arguments(batch: Batch) -> dict[str, Tensor]:
        return {"input_values": batch.inputs}

    def from_logits(logits: Tensor, batch: Batch) -> Tensor:
        log_probabilities = logits.log_softmax(-1).transpose(0, 1)
        lengths = torch.full_like(batch.lengths, frames)
        summed = F.ctc_loss(
            log_probabilities, batch.labels, lengths, batch.lengths, reduction="none"
        )
        return summed / batch.lengths

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        features = torch.randn(size, config.conv_dim[-1], frames, generator=random)
        most = int(frames / 4)
        labels = torch.randint(1, config.vocab_size, (size, most), generator=random)
        return Batch(
            features, labels, torch.randint(most // 2, most + 1, (size,), generator=random)
        )

    return Problem(model, arguments, from_logits, batch)


def _whisper(config: WhisperConfig, tokens: int = 100) -> Problem:
    """A Whisper model, whose encoder always takes 30 s."""
    model = WhisperForConditionalGeneration(config).eval()
    model.config.use_cache = False

    def arguments(batch: Batch) -> dict[str, Tensor]:
        start = torch.full_like(batch.labels[:, :1], config.decoder_start_token_id)
        tokens = torch.cat([start, batch.labels[:, :-1].clamp(min=0)], dim=1)
        return {"input_features": batch.inputs, "decoder_input_ids": tokens}

    def from_logits(logits: Tensor, batch: Batch) -> Tensor:
        losses = F.cross_entropy(logits.transpose(1, 2), batch.labels, reduction="none")
        return losses.sum(1) / batch.lengths

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        mels = torch.randn(
            size, config.num_mel_bins, 2 * config.max_source_positions, generator=random
        )
        lengths = torch.randint(tokens // 2, tokens + 1, (size,), generator=random)
        labels = torch.randint(0, 50_000, (size, tokens), generator=random)
        return Batch(
            mels, labels.masked_fill(torch.arange(tokens) >= lengths[:, None], -100), lengths
        )

    return Problem(model, arguments, from_logits, batch)


def _small_config() -> Wav2Vec2Config:
    return Wav2Vec2Config(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        conv_dim=(64, 128, 128),
        conv_kernel=(256, 10, 8),
        conv_stride=(20, 8, 4),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=8,
    )


def _whisper_small() -> WhisperConfig:
    return WhisperConfig(
        d_model=768,
        encoder_layers=12,
        decoder_layers=12,
        encoder_attention_heads=12,
        decoder_attention_heads=12,
        encoder_ffn_dim=3072,
        decoder_ffn_dim=3072,
    )


PROBLEMS: dict[str, Callable[[float], Problem]] = {
    "wav2vec2-base": lambda seconds: _ctc(Wav2Vec2Config(), seconds),
    "whisper-tiny": lambda seconds: _whisper(WhisperConfig()),
    "whisper-small": lambda seconds: _whisper(_whisper_small()),
    "small": lambda seconds: _ctc(_small_config(), seconds),
}


def problem(
    name: str,
    seconds: float,
    device: torch.device = torch.device("cpu"),  # noqa: B008
    compute: Compute = FULL,
) -> Problem:
    """The named model on a device, the same weights every time."""
    torch.manual_seed(0)
    made = PROBLEMS[name](seconds)
    made.model.to(device)
    return replace(
        made, compute=compute, batch=lambda seed, size: made.batch(seed, size).to(device)
    )

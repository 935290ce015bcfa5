"""Small recognisers of every family, unusual modules, and padded batches of unequal lengths."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F  # noqa: N812
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import (
    HubertConfig,
    HubertForCTC,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    WavLMConfig,
    WavLMForCTC,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from asr_unlearn.models.ecapa import EcapaConfig, EcapaForAudioClassification
from asr_unlearn.models.tdnn import TdnnConfig, TdnnForCTC, halved

SAMPLES, LABELS, VOCABULARY = 700, 5, 12


@dataclass(frozen=True)
class Batch:
    """Waves or log-mels, labels, the lengths of both, and a factor on each loss."""

    inputs: Tensor
    lengths: Tensor
    labels: Tensor
    label_lengths: Tensor
    scale: Tensor

    def take(self, indices: list[int]) -> "Batch":
        return Batch(*(value[indices] for value in vars(self).values()))

    def rescaled(self, factors: list[float]) -> "Batch":
        return replace(self, scale=self.scale * torch.tensor(factors).to(self.scale))


@dataclass(frozen=True)
class Problem:
    model: nn.Module
    losses: Callable[[Batch], Tensor]
    batch: Callable[[int, int], Batch]
    """Makes a batch from a seed and a number of utterances."""


def ctc_losses(logits: Tensor, frames: Tensor, batch: Batch) -> Tensor:
    """The loss per label, in float32 or the model's higher precision."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_probabilities = logits.to(wide).log_softmax(-1).transpose(0, 1)
    labels, lengths = batch.labels, batch.label_lengths
    summed = F.ctc_loss(log_probabilities, labels, frames, lengths, reduction="none")
    return batch.scale * summed / lengths


def ctc_problem(model: nn.Module, dtype: torch.dtype) -> Problem:
    model = model.to(dtype).eval()

    def losses(batch: Batch) -> Tensor:
        mask = (torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]).long()
        logits = model(batch.inputs, attention_mask=mask).logits
        return ctc_losses(logits, model._get_feat_extract_output_lengths(batch.lengths), batch)

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        lengths = torch.randint(SAMPLES // 2, SAMPLES, (size,), generator=random)
        lengths[0] = SAMPLES
        waves = torch.randn(size, SAMPLES, generator=random, dtype=torch.float64)
        waves *= torch.arange(SAMPLES) < lengths[:, None]
        labels = torch.randint(1, VOCABULARY, (size, LABELS), generator=random)
        label_lengths = torch.randint(2, LABELS + 1, (size,), generator=random)
        return Batch(waves.to(dtype), lengths, labels, label_lengths, torch.ones(size, dtype=dtype))

    return Problem(model, losses, batch)


def wave_model(model: type, config: type, **options: object) -> nn.Module:
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "conv_dim": (12, 16),
        "conv_kernel": (10, 4),
        "conv_stride": (5, 4),
        "num_conv_pos_embeddings": 6,
        "num_conv_pos_embedding_groups": 4,
        "vocab_size": VOCABULARY,
        "pad_token_id": 0,
    }
    return model(config(**(sizes | options)))


def with_lora(model: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    # With the usual initialisation B is zero, and A has no gradient.
    lora = LoraConfig(r=3, target_modules=["q_proj", "intermediate_dense"], init_lora_weights=False)
    adapted = get_peft_model(model, lora)
    adapted._get_feat_extract_output_lengths = model._get_feat_extract_output_lengths
    return adapted


def with_dora(model: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    lora = LoraConfig(r=3, target_modules=["q_proj"], init_lora_weights=False, use_dora=True)
    adapted = get_peft_model(model, lora)
    adapted._get_feat_extract_output_lengths = model._get_feat_extract_output_lengths
    return adapted


def frozen_front_end(model: nn.Module) -> nn.Module:
    model.freeze_feature_encoder()
    return model


STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

CTC_MODELS: dict[str, Callable[[], nn.Module]] = {
    "wav2vec2, group norm": lambda: wave_model(Wav2Vec2ForCTC, Wav2Vec2Config),
    "wav2vec2, layer norm": lambda: wave_model(Wav2Vec2ForCTC, Wav2Vec2Config, **STABLE),
    "wav2vec2, frozen front end": lambda: frozen_front_end(
        wave_model(Wav2Vec2ForCTC, Wav2Vec2Config)
    ),
    "wav2vec2, adapters": lambda: wave_model(
        Wav2Vec2ForCTC, Wav2Vec2Config, **STABLE, adapter_attn_dim=6
    ),
    "wav2vec2, LoRA": lambda: with_lora(wave_model(Wav2Vec2ForCTC, Wav2Vec2Config)),
    "hubert": lambda: wave_model(HubertForCTC, HubertConfig),
    "hubert, batch norm": lambda: wave_model(
        HubertForCTC, HubertConfig, **STABLE, conv_pos_batch_norm=True
    ),
    "wavlm": lambda: wave_model(WavLMForCTC, WavLMConfig, num_buckets=10, max_bucket_distance=20),
    "wavlm, layer norm": lambda: wave_model(
        WavLMForCTC, WavLMConfig, **STABLE, num_buckets=10, max_bucket_distance=20
    ),
}


def whisper_problem(dtype: torch.dtype) -> Problem:
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=30,
        num_mel_bins=8,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=20,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    model = WhisperForConditionalGeneration(config).to(dtype).eval()

    def losses(batch: Batch) -> Tensor:
        start = torch.ones_like(batch.labels[:, :1])
        tokens = torch.cat([start, batch.labels[:, :-1].clamp(min=0)], dim=1)
        logits = model(batch.inputs, decoder_input_ids=tokens).logits
        per_token = F.cross_entropy(logits.transpose(1, 2), batch.labels, reduction="none")
        return batch.scale * per_token.sum(1) / batch.label_lengths

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        lengths = torch.randint(3, 10, (size,), generator=random)
        labels = torch.randint(3, 30, (size, 9), generator=random)
        labels[torch.arange(9) >= lengths[:, None]] = -100
        mels = torch.randn(size, 8, 40, generator=random, dtype=torch.float64).to(dtype)
        return Batch(mels, lengths, labels, lengths, torch.ones(size, dtype=dtype))

    return Problem(model, losses, batch)


def ecapa_problem(dtype: torch.dtype) -> Problem:
    """Batch norm with running statistics, squeeze-and-excitation, pooling, a cosine head."""
    torch.manual_seed(0)
    config = EcapaConfig(
        n_mels=8,
        channels=[8, 8, 8, 8, 12],
        attention_channels=4,
        lin_neurons=6,
        res2net_scale=2,
        se_channels=4,
        num_labels=VOCABULARY,
    )
    model = EcapaForAudioClassification(config).to(dtype).eval()
    for name, buffer in model.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)

    def losses(batch: Batch) -> Tensor:
        logits = model(batch.inputs, attention_mask=batch.lengths[:, None]).logits
        return batch.scale * F.cross_entropy(logits, batch.labels[:, 0], reduction="none")

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        lengths = torch.randint(1600, 3200, (size,), generator=random)
        waves = torch.randn(size, 3200, generator=random, dtype=torch.float64)
        waves *= torch.arange(3200) < lengths[:, None]
        labels = torch.randint(VOCABULARY, (size, 1), generator=random)
        one = torch.ones(size, dtype=torch.long)
        return Batch(waves.to(dtype), lengths, labels, one, torch.ones(size, dtype=dtype))

    return Problem(model, losses, batch)


def tdnn_problem(dtype: torch.dtype) -> Problem:
    """Depthwise convolutions, gates, and padding that is masked before each convolution."""
    torch.manual_seed(0)
    config = TdnnConfig(
        n_mels=8, hidden_size=12, num_hidden_layers=2, kernel_size=5, vocab_size=VOCABULARY
    )
    model = TdnnForCTC(config).to(dtype).eval()

    def losses(batch: Batch) -> Tensor:
        logits = model(batch.inputs, batch.lengths).logits
        return ctc_losses(logits, halved(halved(batch.lengths)), batch)

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        lengths = torch.randint(50, 80, (size,), generator=random)
        lengths[0] = 80
        mels = torch.randn(size, 80, 8, generator=random, dtype=torch.float64).to(dtype)
        labels = torch.randint(1, VOCABULARY, (size, LABELS), generator=random)
        label_lengths = torch.randint(2, LABELS + 1, (size,), generator=random)
        return Batch(mels, lengths, labels, label_lengths, torch.ones(size, dtype=dtype))

    return Problem(model, losses, batch)


def recogniser(name: str, dtype: torch.dtype) -> Problem:
    if name == "whisper":
        return whisper_problem(dtype)
    if name == "ecapa":
        return ecapa_problem(dtype)
    if name == "tdnn":
        return tdnn_problem(dtype)
    return ctc_problem(CTC_MODELS[name](), dtype)


RECOGNISERS = [*CTC_MODELS, "whisper", "ecapa", "tdnn"]


class Packed(nn.Module):
    """Packs the true frames of all utterances without padding."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 1)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        true = torch.arange(frames.shape[1]) < lengths[:, None]
        found = self.last(torch.tanh(self.first(frames[true])))[:, 0]
        return torch.stack([own.square().mean() for own in found.split(lengths.tolist())])


class TimeMajor(nn.Module):
    """PyTorch's own transformer layer with time on the first axis, and its packed projections."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(0, 1)).transpose(0, 1)


class UsedTwice(nn.Module):
    """One weight through a module twice, once through a function, and once transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.linear(torch.tanh(self.linear(x))))
        return F.linear(y, self.linear.weight) + F.linear(y, self.linear.weight.T)


class OneByOne(nn.Module):
    """A convolution of each utterance by itself, as with a group-norm front end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3, padding="same", groups=2)
        self.norm = nn.GroupNorm(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        alone = [self.norm(self.conv(utterance.T[None])).mT for utterance in x]
        return torch.cat(alone)


class Spectrograms(nn.Module):
    """Convolutions over both axes: strided, depthwise and dilated."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, stride=(1, 2), padding=1)
        self.depthwise = nn.Conv2d(4, 4, (3, 5), padding="same", groups=4, bias=False)
        self.last = nn.Conv2d(4, 2, (3, 3), padding=(2, 1), dilation=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.last(torch.tanh(self.depthwise(torch.tanh(self.first(x[:, None])))))
        return maps.transpose(1, 2).flatten(2)


class Contracted(nn.Module):
    """Queries by a table of distances, and by a matrix, through einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.distances = nn.Embedding(5, 8)
        self.matrix = nn.Parameter(torch.randn(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1])
        table = self.distances((steps[:, None] - steps[None]).clamp(-2, 2) + 2)
        scores = torch.einsum("bld,lrd->blr", x, table).softmax(-1)
        return torch.einsum("bld,dc->blc", torch.tanh(scores @ x), self.matrix)


class Bare(nn.Module):
    """Parameters outside any module: scale, shift, scalar, positions, mask, and one unused."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(8))
        self.gain = nn.Parameter(torch.tensor(0.7))
        self.positions = nn.Parameter(torch.randn(20, 8))
        self.filler = nn.Parameter(torch.randn(8))
        self.unused = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.scale + self.positions[: x.shape[1]]
        x = torch.where(x > 1, self.filler, x)
        return self.gain * x


class BatchShaped(nn.Module):
    """A table of relative positions that is repeated for each utterance."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 8)

    def forward(self, x: Tensor) -> Tensor:
        distance = torch.arange(x.shape[1]) % 3
        return torch.tanh(x * self.table(distance).repeat(len(x), 1, 1))


class NoRule(nn.Module):
    """A weight multiplied from the right, which has no rule, and one that has a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8))
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.tanh(x @ self.weight))


class Coupled(nn.Module):
    """Batch norm in training mode: every utterance's loss depends on all the others."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.first(x).mT).mT


class WeightNormed(nn.Module):
    """A linear layer whose weight is derived from its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class SumOfTwo(nn.Module):
    """A linear layer whose weight is the sum of two parameters, which have one gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(8, 8)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.first + self.second)


class Compiled(torch.autograd.Function):
    """An operation whose parameters PyTorch's function hooks do not see."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx, delta: Tensor) -> tuple[Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        return delta * scale, (delta * x).sum((0, 1))


class Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(8))

    def forward(self, x: Tensor) -> Tensor:
        return Compiled.apply(x, self.scale)


class Uses(nn.Module):
    """One parameter of a given shape with a given use."""

    def __init__(self, shape: tuple[int, ...], use: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.randn(shape) + 0.3)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        return self.use(x, self.value)


def frame_by_frame(x: Tensor, use: Callable[[Tensor], Tensor]) -> Tensor:
    """Applies `use` to the first frame of each utterance, a vector."""
    return torch.stack([torch.cat([use(frames[0])[None], frames[1:]]) for frames in x])


# For batches [B, B, 8] of five or eight utterances with as many frames.
USES: dict[str, tuple[tuple[int, ...], Callable[[Tensor, Tensor], Tensor]]] = {
    "scalar factor": ((), lambda x, p: x * p),
    "scalar of a function": ((), lambda x, p: x * p.exp()),
    "scalar interpolation": ((), lambda x, p: torch.lerp(x, x.tanh(), p)),
    "scalar limit": ((), lambda x, p: torch.maximum(x, p)),
    "scalar for each frame": ((), lambda x, p: frame_by_frame(x, lambda f: f.sum() * p + f)),
    "scalar in a hidden operation": ((), lambda x, p: HiddenScalar.apply(x, p)),
    "an element": ((3,), lambda x, p: x * p[0] + p[2]),
    "an element of each": ((8,), lambda x, p: frame_by_frame(
        x, lambda f: torch.stack([c * p[k] for k, c in enumerate(f)]))),
    "a row": ((3, 8), lambda x, p: x * p[0]),
    "a slice": ((3, 8), lambda x, p: x * p[1:2]),
    "a matrix of a stack": ((3, 8, 8), lambda x, p: F.linear(x, p[1])),
    "rows by the batch": ((3, 8), lambda x, p: x * p[(x[..., 0] > 0).long()]),
    "sum": ((3, 2), lambda x, p: x * p.sum()),
    "linear, frame by frame": ((8, 8), lambda x, p: frame_by_frame(x, lambda f: F.linear(f, p))),
    "dot product": ((8,), lambda x, p: frame_by_frame(x, lambda f: F.linear(f, p) + f)),
    "norm, frame by frame": ((8,), lambda x, p: frame_by_frame(
        x, lambda f: F.layer_norm(f, (8,), p))),
    "one for each utterance": ((5, 1, 1), lambda x, p: x * p if len(x) == 5 else x + p.sum()),
    "one for each utterance, reversed": ((8, 1, 1), lambda x, p: (
        (x.flip(0) * p).flip(0) if len(x) == 8 else x + p.sum())),
    "empty": ((3, 0), lambda x, p: x + p.sum()),
    "einsum": ((8, 8), lambda x, p: torch.einsum("bld,dc->blc", x, p)),
    "einsum, table first": ((8, 8), lambda x, p: torch.einsum("cd,bld->blc", p, x)),
    "einsum, time first": ((8, 8), lambda x, p: torch.einsum("lbd,dc->blc", x.transpose(0, 1), p)),
    "einsum, diagonal": ((8, 8), lambda x, p: torch.einsum("bld,dd->bld", x, p)),
    "einsum, summed": ((8, 3), lambda x, p: torch.einsum("bld,dk->bld", x, p)),
    "einsum, ellipsis": ((8, 8), lambda x, p: torch.einsum("...d,dc->...c", x, p)),
    "einsum, implicit": ((8, 8), lambda x, p: torch.einsum("bld,de", x, p).mT),
    "unused": ((), lambda x, p: x),
    "linear of no inputs": ((8, 0), lambda x, p: x + F.linear(x[..., :0], p)),
    "linear of no frames": ((8, 8), lambda x, p: torch.cat([F.linear(x[:, :0], p), x], 1)),
}  # fmt: skip


class HiddenScalar(torch.autograd.Function):
    """Like `Compiled`, with a factor that has no axis."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(x, scale)
        return x * scale

    @staticmethod
    def backward(ctx, delta: Tensor) -> tuple[Tensor, Tensor]:
        x, scale = ctx.saved_tensors
        return delta * scale, (delta * x).sum()


FAST = [UsedTwice, OneByOne, Spectrograms, Contracted, Bare, BatchShaped, WeightNormed, SumOfTwo]
SLOW = [TimeMajor, NoRule, Coupled, Hidden]


def module_problem(module: Callable[[], nn.Module], dtype: torch.dtype) -> Problem:
    """A module with the mean squared error over the true frames of each utterance."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), module(), nn.Linear(8, 2)).to(dtype)

    def losses(batch: Batch) -> Tensor:
        frames = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
        error = (model(batch.inputs) - batch.inputs[..., :2]).square().mean(-1)
        return batch.scale * (error * frames).sum(1) / batch.lengths

    def batch(seed: int, size: int) -> Batch:
        random = torch.Generator().manual_seed(seed)
        # As many frames as utterances, so that shapes do not show which axis is the batch.
        inputs = torch.randn(size, size, 6, generator=random, dtype=torch.float64).to(dtype)
        lengths = torch.randint(math.ceil(size / 2), size + 1, (size,), generator=random)
        return Batch(inputs, lengths, lengths, lengths, torch.ones(size, dtype=dtype))

    return Problem(model, losses, batch)

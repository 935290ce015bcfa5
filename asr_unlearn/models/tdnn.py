"""A small recogniser that trains within minutes: convolutions over log-mel features, and CTC.

Importing this module registers it with `AutoModelForCTC`.
"""

from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torchaudio.functional import mask_along_axis_iid
from transformers import AutoConfig, AutoModelForCTC, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from asr_unlearn.data.batching import is_own
from asr_unlearn.models.fbank import make_fbank


class TdnnConfig(PreTrainedConfig):
    """The size of a `TdnnForCTC`; `band_mask` and `time_mask` are SpecAugment's widest masks.

    They are counted in bands and in frames of 10 ms; two of each kind are drawn.
    """

    model_type = "tdnn"

    def __init__(
        self,
        n_mels: int = 40,
        hidden_size: int = 128,
        num_hidden_layers: int = 6,
        kernel_size: int = 9,
        dropout: float = 0.2,
        band_mask: int = 8,
        time_mask: int = 20,
        vocab_size: int = 32,
        pad_token_id: int = 0,
        **settings: Any,
    ) -> None:
        self.n_mels = n_mels
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.kernel_size = kernel_size
        self.dropout = dropout
        self.band_mask = band_mask
        self.time_mask = time_mask
        self.vocab_size = vocab_size
        super().__init__(**settings)
        self.pad_token_id = pad_token_id


class Block(nn.Module):
    """A convolution over time in each channel, and gates between channels (QuartzNet)."""

    def __init__(self, config: TdnnConfig) -> None:
        super().__init__()
        size, kernel = config.hidden_size, config.kernel_size
        self.norm = nn.LayerNorm(size)
        self.over_time = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.gate = nn.Linear(size, 2 * size)
        self.output = nn.Linear(size, size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Float[Tensor, "B T C"], own: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T C"]:
        mixed = self.over_time((self.norm(x) * own[..., None]).transpose(1, 2)).transpose(1, 2)
        changed: Tensor = self.dropout(self.output(F.glu(self.gate(mixed))))
        return x + changed


class Encoder(nn.Module):
    """Log-mel features [B, T, M] to states [B, ⌈T/4⌉, C]."""

    def __init__(self, config: TdnnConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.conv1 = nn.Conv1d(config.n_mels, size, 5, stride=2, padding=2)
        self.conv2 = nn.Conv1d(size, size, 5, stride=2, padding=2)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))

    def forward(
        self, features: Float[Tensor, "B T M"], frames: Int[Tensor, " B"]
    ) -> Float[Tensor, "B S C"]:
        x: Tensor = features
        for conv in (self.conv1, self.conv2):
            # The padding must not reach the frames of an utterance.
            x = x * is_own(x.shape[1], frames)[..., None]
            x = F.gelu(conv(x.transpose(1, 2))).transpose(1, 2)
            frames = halved(frames)
        x, own = self.dropout(x), is_own(x.shape[1], frames)
        for layer in self.layers:
            x = layer(x, own)
        return x


class TdnnForCTC(PreTrainedModel):
    """Time-channel separable convolutions trained with CTC, as in QuartzNet (arXiv 1910.10261).

    It has layer norm in place of batch norm, so that padding does not change an utterance's output.
    SpecAugment (arXiv 1904.08779) masks bands and stretches of time in training.
    """

    config_class = TdnnConfig
    base_model_prefix = "encoder"
    main_input_name = "input_features"

    def __init__(self, config: TdnnConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.dropout = nn.Dropout(config.dropout)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv1d | nn.Linear | nn.LayerNorm):
            module.reset_parameters()

    @cached_property
    def _fbank(self) -> Any:
        return make_fbank(self.config.n_mels)

    @torch.no_grad()
    def features(self, wave: Float[Tensor, " samples"]) -> Float[Tensor, "T M"]:
        """Log-mel energies every 10 ms, each band of mean 0 and variance 1 over the utterance.

        This removes the gain and the frequency response of the microphone.
        """
        energies: Tensor = self._fbank(wave[None].float())[0]
        spread = energies.std(0, unbiased=False, keepdim=True)
        return (energies - energies.mean(0, keepdim=True)) / (spread + 1e-3)

    def forward(
        self, input_features: Float[Tensor, "B T M"], frames: Int[Tensor, " B"], **_: Any
    ) -> CausalLMOutput:
        """Logits [B, ⌈T/4⌉, V]; `frames` are the true numbers of features."""
        x = self._masked(input_features) if self.training else input_features
        states = self.encoder(x, frames)
        logits = self.lm_head(self.dropout(states))
        return CausalLMOutput(logits=logits, hidden_states=(states,))

    def _masked(self, features: Float[Tensor, "B T M"]) -> Float[Tensor, "B T M"]:
        spectrogram = features.transpose(1, 2)[:, None]
        for axis, widest in ((2, self.config.band_mask), (3, self.config.time_mask)):
            for _ in range(2):
                spectrogram = mask_along_axis_iid(spectrogram, widest, 0.0, axis, p=0.25)
        return spectrogram[:, 0].transpose(1, 2)


def halved(frames: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The number of frames after a convolution of stride 2."""
    return (frames + 1) // 2


AutoConfig.register(TdnnConfig.model_type, TdnnConfig)
AutoModelForCTC.register(TdnnConfig, TdnnForCTC)

"""Initialise a first convolution as a bank of band-pass filters.

From random weights a small recogniser spends most of its training on learning frequency bands;
from Gabor filters it learns words from hours of speech in minutes.
Gabor filters as a learnable front end: Zeghidour et al., "LEAF", ICLR 2021.
"""

from collections.abc import Sequence

import librosa
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.runtime.errors import InputError

PRE_EMPHASIS = 0.97


def gabor_filters(
    count: int, length: int, low: float = 60.0, high: float = 7600.0
) -> Float[Tensor, "count length"]:
    """`count` unit-norm Gabor filters on mel-spaced centres [Hz], cosine and sine phase by turns.

    Each filter is as wide as the gap to its neighbours. Pre-emphasis (0.97), which a separate
    step would need again at inference, is folded into the filters.
    """
    hertz = librosa.mel_frequencies(count + 2, fmin=low, fmax=high, htk=True)
    centre, width = hertz[1:-1, None], (hertz[2:] - hertz[:-2])[:, None] / 2
    time = (np.arange(length - 1) - (length - 2) / 2)[None] / SAMPLE_RATE
    # A Gaussian whose half-height bandwidth in frequency is `width`.
    deviation = np.sqrt(2 * np.log(2)) / (np.pi * width)
    envelope = np.exp(-0.5 * (time / np.minimum(deviation, length / SAMPLE_RATE / 4)) ** 2)
    phase = (np.arange(count) % 2 * np.pi / 2)[:, None]
    filters = envelope * np.cos(2 * np.pi * centre * time + phase)
    # y[n] = x[n] − 0.97 x[n−1] correlated with f is x correlated with f[k] − 0.97 f[k+1].
    emphasised = np.zeros((count, length))
    emphasised[:, 1:] += filters
    emphasised[:, :-1] -= PRE_EMPHASIS * filters
    emphasised /= np.linalg.norm(emphasised, axis=1, keepdims=True)
    return torch.from_numpy(emphasised).float()


@torch.no_grad()
def start_from_filterbank(conv: nn.Conv1d, waves: Sequence[Float[Tensor, " _"]]) -> None:
    """Set the first convolution to Gabor filters with unit output variance on `waves`.

    Raises:
        InputError: `conv` has more than one input channel.
    """
    if conv.in_channels != 1:
        raise InputError("only a convolution over the wave can become a filter bank")
    filters = gabor_filters(conv.out_channels, conv.kernel_size[0])[:, None]
    outputs = [nn.functional.conv1d(w[None, None], filters, stride=conv.stride) for w in waves]
    scale = torch.cat([o.flatten(1) for o in (o[0] for o in outputs)], dim=1).std(dim=1)
    conv.weight.copy_(filters / scale[:, None, None].clamp(min=1e-6))
    if conv.bias is not None:
        conv.bias.zero_()

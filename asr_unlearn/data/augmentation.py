"""Augmentation of utterances in training, drawn from a seed in every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchaudio.functional import speed

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Example
from asr_unlearn.runtime.errors import InputError


@dataclass(frozen=True)
class Speeds:
    """Speed perturbation: the wave at one of these speeds, which changes its pitch too.

    Ko et al., "Audio Augmentation for Speech Recognition", Interspeech 2015. It helps most with
    few speakers.

    Raises:
        InputError: no speeds, or one below 0.5 or above 2; or features in place of a wave.
    """

    speeds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.speeds or not all(0.5 <= factor <= 2 for factor in self.speeds):
            raise InputError(f"speeds={list(self.speeds)}: name some, each between 0.5 and 2")

    def __call__(self, example: Example, seed: Sequence[int]) -> Example:
        factor = float(np.random.default_rng([*seed, 2]).choice(self.speeds))
        wave = _wave(example)
        if factor != 1:
            wave, _ = speed(wave, SAMPLE_RATE, factor)
        return replace(example, input=wave, samples=len(wave))


@dataclass(frozen=True)
class PolarityAndShift:
    """Random polarity and a shift of up to 10 ms, both inaudible.

    Raises:
        InputError: features in place of a wave.
    """

    def __call__(self, example: Example, seed: Sequence[int]) -> Example:
        rng = np.random.default_rng(list(seed))
        sign = float(rng.choice([-1.0, 1.0]))
        wave = torch.roll(_wave(example), int(rng.integers(-160, 161))) * sign
        return replace(example, input=wave)


@dataclass(frozen=True)
class Crop:
    """A random piece of each utterance; a shorter utterance is repeated to that length.

    With pieces of one length no batch has padding, which batch norm would count as speech.

    Attributes:
        samples: length of a piece.
        frames: its length in frames, for inputs that are features.
    """

    samples: int
    frames: int

    def __call__(self, example: Example, seed: Sequence[int]) -> Example:
        whole = example.input
        wanted = self.samples if whole.dim() == 1 else self.frames
        room = max(len(whole) - wanted, 0)
        start = int(np.random.default_rng([*seed, 1]).integers(room + 1))
        places = torch.arange(start, start + wanted) % len(whole)
        return replace(example, input=whole[places], samples=self.samples)


def _wave(example: Example) -> Float[Tensor, " samples"]:
    if example.input.dim() != 1:
        raise InputError("augmentation changes the wave; this model is given features")
    return example.input

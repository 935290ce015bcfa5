"""SpeechBrain's log-mel energies [dB], the input of ECAPA-TDNN and `TdnnForCTC`."""

from typing import Any

from jaxtyping import Int
from torch import Tensor

from asr_unlearn.runtime.extras import need_extra

HOP = 160
"""Samples at 16 kHz from frame to frame."""


def make_fbank(n_mels: int) -> Any:
    """The module that turns waves [B, S] into energies [B, T, M].

    Make it after the model is loaded, and keep it out of the model's state: it has no weights, and
    its constants would be lost on the meta device, where `from_pretrained` builds a model.
    """
    need_extra("speaker", "the log-mel front end of ECAPA-TDNN and TdnnForCTC")
    from speechbrain.lobes.features import Fbank

    return Fbank(n_mels=n_mels)


def fbank_frames(samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """Frames, centred on every hop, of waves with that many samples."""
    return samples // HOP + 1

"""Speech synthesis by espeak-ng through ctypes."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.extras import need_extra

# Constants of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
RATE, PITCH, PITCH_RANGE = 1, 3, 4
CHARS_UTF8 = 1

SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@dataclass(frozen=True)
class Voice:
    """A voice of espeak.

    Attributes:
        accent: espeak language.
        variant: espeak variant, the vocal tract.
        pitch, pitch_range: 0-100.
        rate: words a minute, 80-450.
    """

    accent: str
    variant: str
    pitch: int
    pitch_range: int
    rate: int

    def __str__(self) -> str:
        return f"{self.accent}+{self.variant} pitch {self.pitch} rate {self.rate}"


class Espeak:
    """The synthesiser.

    Its oscillators and noise continue from one utterance to the next and cannot be reset: only the
    same calls in a new process give the same samples bit for bit.
    """

    def __init__(self, seed: int = 0) -> None:
        need_extra("quickstart", "synthetic speech")
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0
        )
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng cannot read its data; reinstall espeakng-loader")
        # It seeds flutter and breath with the time of day.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._blocks: list[np.ndarray] = []
        # Kept on self: the library holds a bare pointer to it.
        self._callback = SynthCallback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count > 0:
            # A copy: espeak fills the same buffer again for the next block.
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def speak(self, text: str, voice: Voice) -> Int16[np.ndarray, " samples"]:
        """The samples at `sample_rate`; raises InputError for a voice that does not exist."""
        # espeak itself replaces an unknown variant by the plain voice without an error.
        if not (self._variants / voice.variant).is_file():
            raise InputError(f"espeak-ng has no voice variant {voice.variant!r}")
        if self._library.espeak_SetVoiceByName(f"{voice.accent}+{voice.variant}".encode()) != 0:
            raise InputError(f"espeak-ng has no language {voice.accent!r}")
        for parameter, value in (
            (RATE, voice.rate),
            (PITCH, voice.pitch),
            (PITCH_RANGE, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        content = text.encode()
        self._blocks.clear()
        status = self._library.espeak_Synth(
            content,
            ctypes.c_size_t(len(content) + 1),
            ctypes.c_uint(0),
            0,
            ctypes.c_uint(0),
            ctypes.c_uint(CHARS_UTF8),
            None,
            None,
        )
        if status != 0 or not self._blocks:
            raise RuntimeError(f"espeak-ng could not say {text!r} (status {status})")
        return np.concatenate(self._blocks)

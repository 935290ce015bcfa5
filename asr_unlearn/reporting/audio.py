"""A recording as a small MP3 and a spectrogram, both data URIs inside the page."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float
from matplotlib.image import imsave
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from asr_unlearn.data.audio import SAMPLE_RATE, AudioError, load_audio
from asr_unlearn.reporting.figures.palette import INK

# Longer recordings are cut, so that the page stays small.
LONGEST = 6.0
WINDOW, HOP = 256, 160  # 16 ms, every 10 ms
DECIBELS = 65.0  # below the maximum


class Audio(NamedTuple):
    """Data URIs of MP3 and spectrogram, the duration of both, and whether the recording was cut."""

    mp3: str
    spectrogram: str
    seconds: float
    cut: bool


def audio(path: Path) -> Audio:
    """MP3 and spectrogram of the first six seconds of a recording.

    Raises:
        AudioError: it cannot be read or encoded; names the file.
    """
    samples = load_audio(path)
    kept = samples[: round(LONGEST * SAMPLE_RATE)]
    try:
        mp3 = f"data:audio/mpeg;base64,{_text(_mp3(kept))}"
    except soundfile.LibsndfileError as error:
        # libsndfile before 1.1, or built without LAME.
        raise AudioError(f"{path}: libsndfile writes no MP3: {error.error_string}") from error
    picture = f"data:image/png;base64,{_text(_png(spectrogram(kept)))}"
    return Audio(mp3, picture, len(kept) / SAMPLE_RATE, len(kept) < len(samples))


def spectrogram(samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "bands frames"]:
    """Level between 0 (65 dB below the maximum) and 1, the highest band (8 kHz) first."""
    if len(samples) < WINDOW:
        samples = np.pad(samples, (0, WINDOW - len(samples)))
    transform = ShortTimeFFT(hann(WINDOW, sym=False), HOP, SAMPLE_RATE)
    power = transform.spectrogram(samples.astype(np.float64))
    level = 10 * np.log10(np.maximum(power, 1e-12) / max(float(power.max()), 1e-12))
    shown: Float[np.ndarray, "bands frames"] = np.clip(1 + level[::-1] / DECIBELS, 0, 1)
    return shown


def _mp3(samples: Float[np.ndarray, " samples"]) -> bytes:
    """MP3: every browser plays it, and its bytes depend on the samples alone (unlike Ogg's)."""
    written = io.BytesIO()
    soundfile.write(
        written, np.clip(samples, -1, 1), SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=0.8,
    )  # fmt: skip
    return written.getvalue()


def _png(level: Float[np.ndarray, "bands frames"]) -> bytes:
    """Opacity is the level, in 24 steps, so that the page's background shows."""
    pixels = np.zeros((*level.shape, 4), np.uint8)
    pixels[..., :3] = [int(INK.light[i : i + 2], 16) for i in (1, 3, 5)]
    pixels[..., 3] = np.round(level * 24) * (255 / 24)
    written = io.BytesIO()
    imsave(written, pixels, format="png")
    return written.getvalue()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")

"""Any audio file, or its bytes, as the one signal every model here takes: 16 kHz mono float32."""

import io
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from asr_unlearn.errors import InputError

SAMPLE_RATE = 16_000


class AudioError(InputError):
    """Audio that cannot be decoded; the message names the file."""


def load_audio(
    source: Path | str | bytes, *, name: str | None = None
) -> Float[np.ndarray, " samples"]:
    """Decode `source` to [samples] float32, mono (mean of the channels), 16 kHz.

    `source` is a path or a file's content; `name` stands for it in messages. A name ending in
    `.raw` is headerless 16-bit big-endian mono at 16 kHz, as in the AN4 archive (whose README
    says little-endian: decoded so, it is noise). Everything else is what libsndfile reads: flac,
    wav, ogg, opus, mp3, SPHERE. Full scale is ±1; lossy codecs may exceed it a little.

    Raises AudioError when the content is missing, not audio, damaged, cut short (as far as the
    format tells: flac and mp3 do, a cut wav or ogg is a shorter one), or not finite.
    """
    name = name or ("<bytes>" if isinstance(source, bytes) else str(source))
    content = source if isinstance(source, bytes) else read_content(Path(source), name)
    samples, rate = _decode_raw(content, name) if name.endswith(".raw") else _decode(content, name)
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds samples that are not finite (NaN or infinity)")
    return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE)


def read_content(path: Path, name: str) -> bytes:
    """What a file of audio holds; raises AudioError, by its name, where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AudioError(f"{name}: cannot read the file: {error.strerror}") from error


def _decode_raw(content: bytes, name: str) -> tuple[Float[np.ndarray, " samples"], int]:
    if len(content) % 2:
        raise AudioError(f"{name}: {len(content)} bytes are no whole number of 16-bit samples")
    return np.frombuffer(content, dtype=">i2").astype(np.float32) / 2**15, SAMPLE_RATE


def _decode(content: bytes, name: str) -> tuple[Float[np.ndarray, " samples"], int]:
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            channels = file.read(dtype="float32", always_2d=True)
            # libsndfile stops at a damaged block without an error of its own.
            if len(channels) < file.frames:
                raise AudioError(
                    f"{name}: truncated or damaged: {len(channels)} of {file.frames} samples decode"
                )
            return channels.mean(axis=1, dtype=np.float32), file.samplerate
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: libsndfile cannot decode it: {error.error_string}") from error

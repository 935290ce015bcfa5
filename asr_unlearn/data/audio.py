"""Decode any audio file to the signal that every model takes: 16 kHz mono float32."""

import io
import math
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from jaxtyping import Float

from asr_unlearn.data.byte_order import decode_headerless
from asr_unlearn.data.stated_length import cut_short, impossible_claim, without_length
from asr_unlearn.runtime.errors import InputError

SAMPLE_RATE = 16_000
# Ends the names of recordings without a header.
HEADERLESS = ".raw"
# Samples of all channels that are decoded at a time.
BLOCK = 1 << 16
# libsndfile's length for files of unknown length.
UNKNOWN = 2**62
# The largest sample accepted: some programs store 16-bit integers as floats.
LARGEST = 2.0**15
LEAST_RATE, MOST_RATE = 1_000, 768_000
# Seconds that are decoded at most, unless the caller knows how long a recording may be.
LONGEST = 3_600.0
# The largest file for a recording: eight channels of 48 kHz floats a second, and pictures in tags.
MOST_BYTES_A_SECOND, MOST_BYTES_BESIDE = 8 * 48_000 * 4, 1 << 24


class AudioError(InputError):
    """Audio that cannot be decoded; the message names the file."""


class TooLongError(AudioError):
    """A recording that is longer than it may be; only as much as that has been decoded."""


def load_audio(
    source: Path | str | bytes, *, name: str | None = None, longest: float = LONGEST
) -> Float[np.ndarray, " samples"]:
    """Decode `source` to [samples] float32, mono (mean of the channels), 16 kHz.

    `source` is a path or a file's content; `name` stands for it in messages. A name ending in
    `.raw` is headerless 16-bit mono at 16 kHz, as in the AN4 archives, in the byte order that
    `decode_headerless` finds. Everything else is what libsndfile reads: flac, wav, ogg, opus, mp3,
    SPHERE. Full scale is ±1; lossy codecs may exceed it a little.

    At most `longest` seconds are decoded, whatever the header says and however small the file is.

    Raises:
        TooLongError: the recording has more than `longest` seconds.
        AudioError: the content is missing, not audio, without samples, damaged, cut short (where
            the format holds the length: flac, wav and mp3 mostly do, a cut ogg is a shorter one),
            not finite or far beyond full scale, or headerless with a byte order that cannot be
            determined.
    """
    name = name or ("<bytes>" if isinstance(source, bytes) else str(source))
    content = source if isinstance(source, bytes) else read_content(Path(source), name, longest)
    try:
        samples, rate = _decoded(content, name, longest)
        _check_samples(samples, rate, name)
        return samples if rate == SAMPLE_RATE else soxr.resample(samples, rate, SAMPLE_RATE)
    except AudioError:
        raise
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: libsndfile cannot decode it: {error.error_string}") from error
    # The libraries raise many kinds, MemoryError and AssertionError among them, and one bad file
    # must not end the check of a corpus.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise AudioError(f"{name}: cannot be decoded: {reason}") from error


def read_content(path: Path, name: str, longest: float = LONGEST) -> bytes:
    """The bytes of an audio file.

    Raises:
        AudioError: with `name`: it cannot be read, or is no file but a pipe or a device.
        TooLongError: more bytes than a recording of `longest` seconds has.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{name}: is no file, but a folder, a pipe or a device")
        if status.st_size > longest * MOST_BYTES_A_SECOND + MOST_BYTES_BESIDE:
            raise TooLongError(
                f"{name}: {status.st_size} bytes are more than a recording of {longest:g} s has"
            )
        return path.read_bytes()
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise AudioError(f"{name}: cannot read the file: {reason}") from error


def _decoded(
    content: bytes, name: str, longest: float
) -> tuple[Float[np.ndarray, " samples"], int]:
    """Samples, the mean of the channels, and their rate."""
    if not content:
        raise AudioError(f"{name}: holds no samples, the file is empty")
    if not name.lower().endswith(HEADERLESS):
        return _decode(content, name, longest)
    if len(content) % 2:
        raise AudioError(f"{name}: {len(content)} bytes are no whole number of 16-bit samples")
    if len(content) // 2 > longest * SAMPLE_RATE:
        raise _too_long(name, longest)
    samples = decode_headerless(content)
    if samples is None:
        raise AudioError(f"{name}: its byte order cannot be determined; convert it to wav")
    return samples, SAMPLE_RATE


def _too_long(name: str, longest: float) -> TooLongError:
    return TooLongError(f"{name}: lasts more than {longest:g} s; cut it")


def _check_samples(samples: Float[np.ndarray, " samples"], rate: int, name: str) -> None:
    if not len(samples):
        raise AudioError(f"{name}: holds no samples")
    check_samples(samples, name)
    if rate < LEAST_RATE:
        raise AudioError(f"{name}: {rate} samples a second are too few for speech")


def check_samples(samples: Float[np.ndarray, "..."], name: str) -> None:
    """Raises AudioError, with `name`, for samples that are not finite or far beyond full scale."""
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds samples that are not finite (NaN or infinity)")
    if len(samples) and (peak := float(np.abs(samples).max())) > LARGEST:
        raise AudioError(f"{name}: holds samples up to {peak:.3g}, where full scale is 1")


class _ToTheEnd(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read from start to end.

    Where it can seek, soundfile trusts the length in the header and seeks after each block, which
    fails if the length is unknown.
    """

    def seekable(self) -> bool:
        return False

    def channel_means(self, name: str, longest: float) -> Iterator[Float[np.ndarray, " samples"]]:
        """Blocks of samples until there are no more; raises AudioError as `load_audio` does."""
        left = math.floor(longest * self.samplerate)
        size = max(1, BLOCK // self.channels)
        while len(block := self.read(size, dtype="float32", always_2d=True)):
            # Of each channel: samples far beyond full scale may cancel in the mean.
            check_samples(block, name)
            left -= len(block)
            if left < 0:
                raise _too_long(name, longest)
            yield block.mean(axis=1, dtype=np.float32)


def _decode(content: bytes, name: str, longest: float) -> tuple[Float[np.ndarray, " samples"], int]:
    if (claimed := impossible_claim(content)) is not None:
        raise AudioError(f"{name}: damaged: its header claims {claimed} samples or bytes")
    if (bytes_of := cut_short(content)) is not None:
        raise AudioError(f"{name}: truncated: {bytes_of[0]} of {bytes_of[1]} bytes of samples")
    endless, stated = without_length(content)
    with _ToTheEnd(io.BytesIO(endless)) as file:
        if file.samplerate > MOST_RATE:
            raise AudioError(f"{name}: {file.samplerate} samples a second are too many for speech")
        means = file.channel_means(name, longest)
        samples = np.concatenate([np.zeros(0, np.float32), *means])
        if stated is None and endless is content and file.frames < UNKNOWN:
            stated = file.frames
        # libsndfile stops at a damaged block without an error of its own.
        if stated is not None and len(samples) < stated:
            raise AudioError(
                f"{name}: truncated or damaged: {len(samples)} of {stated} samples decode"
            )
        return samples, file.samplerate

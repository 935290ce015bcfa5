"""Decoding: every container gives the same signal, and bad files are named."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr_unlearn.audio import SAMPLE_RATE, AudioError, load_audio


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def encoded(samples: np.ndarray, rate: int, kind: str, subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


@given(arrays(np.int16, st.integers(1, 400)))
def test_lossless_formats_return_the_samples_exactly(pcm: np.ndarray) -> None:
    expected = (pcm / 2**15).astype(np.float32)
    raw = pcm.astype(">i2").tobytes()
    for content, name in (
        (encoded(pcm, SAMPLE_RATE, "WAV"), "a.wav"),
        (encoded(pcm, SAMPLE_RATE, "FLAC"), "a.flac"),
        (raw, "a.raw"),
    ):
        samples = load_audio(content, name=name)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, expected)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("WAV", "ULAW")]
)
def test_lossy_formats_return_the_signal(kind: str, subtype: str | None) -> None:
    wave = tone(440, 1.0, SAMPLE_RATE)
    samples = load_audio(encoded(wave, SAMPLE_RATE, kind, subtype))
    assert abs(len(samples) - len(wave)) < 0.1 * SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE], n=SAMPLE_RATE))
    assert abs(int(spectrum.argmax()) - 440) <= 1


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_in_time_and_pitch(rate: int) -> None:
    samples = load_audio(encoded(tone(440, 1.0, rate), rate, "WAV", "FLOAT"))
    assert len(samples) == SAMPLE_RATE
    middle = slice(1000, -1000)
    expected = tone(440, 1.0, SAMPLE_RATE)
    np.testing.assert_allclose(samples[middle], expected[middle], atol=2e-3)


def test_channels_are_averaged() -> None:
    left, right = tone(300, 0.1, SAMPLE_RATE), tone(700, 0.1, SAMPLE_RATE)
    content = encoded(np.stack([left, right], axis=1), SAMPLE_RATE, "WAV", "FLOAT")
    np.testing.assert_allclose(load_audio(content), (left + right) / 2, atol=1e-6)


def test_path_string_and_bytes_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(encoded(tone(440, 0.2, SAMPLE_RATE), SAMPLE_RATE, "FLAC"))
    np.testing.assert_array_equal(load_audio(path), load_audio(str(path)))
    np.testing.assert_array_equal(load_audio(path), load_audio(path.read_bytes()))


def test_bad_audio_is_named() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=SAMPLE_RATE)
    flac = encoded(noise, SAMPLE_RATE, "FLAC")
    infinite = encoded(np.array([0.0, np.inf]), SAMPLE_RATE, "WAV", "FLOAT")
    for content, name in (
        (b"", "empty.flac"),
        (b"words, not audio", "text.wav"),
        (flac[: len(flac) // 2], "cut.flac"),
        (infinite, "infinite.wav"),
        (b"\x00\x01\x02", "odd.raw"),
    ):
        with pytest.raises(AudioError, match=name):
            load_audio(content, name=name)


def test_bad_audio_ends_a_command_with_its_reason(tmp_path: Path) -> None:
    """The commands show the message of a ValueError, and the whole traceback of anything else."""
    with pytest.raises(ValueError, match=r"nothing\.wav: cannot read the file"):
        load_audio(tmp_path / "nothing.wav")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nothing\.wav"):
        load_audio(tmp_path / "nothing.wav")


def test_real_speech_decodes_to_speech(shared_data: Path) -> None:
    """AN4's flac and the big-endian .raw it came from are one signal; swapped bytes are noise."""
    path = next(iter(sorted((shared_data / "an4" / "wav").rglob("*.flac"))))
    speech = load_audio(path)
    pcm = np.round(speech * 2**15).astype(np.int16)
    np.testing.assert_array_equal(load_audio(pcm.astype(">i2").tobytes(), name="a.raw"), speech)
    swapped = load_audio(pcm.astype("<i2").tobytes(), name="a.raw")

    def neighbours(samples: np.ndarray) -> float:
        return float(np.corrcoef(samples[1:], samples[:-1])[0, 1])

    assert neighbours(speech) > 0.8
    assert neighbours(swapped) < 0.5

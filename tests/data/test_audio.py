"""Decoding: every container gives the same signal, and bad files are named."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr_unlearn.data.audio import SAMPLE_RATE, AudioError, load_audio


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def encoded(samples: np.ndarray, rate: int, kind: str, subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


@given(arrays(np.int16, st.integers(1, 400)))
def test_lossless_formats_return_the_samples_exactly(pcm: np.ndarray) -> None:
    expected = (pcm / 2**15).astype(np.float32)
    for content, name in (
        (encoded(pcm, SAMPLE_RATE, "WAV"), "a.wav"),
        (encoded(pcm, SAMPLE_RATE, "FLAC"), "a.flac"),
        (encoded(pcm, SAMPLE_RATE, "NIST"), "a.SPH"),
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
    wav = encoded(noise, SAMPLE_RATE, "WAV")
    for content, name in (
        (b"", "empty.flac"),
        (b"words, not audio", "text.wav"),
        (flac[: len(flac) // 2], "cut.flac"),
        (wav[: len(wav) // 2], "cut.wav"),
        (infinite, "infinite.wav"),
        (b"\x00\x01\x02", "odd.raw"),
    ):
        with pytest.raises(AudioError, match=name):
            load_audio(content, name=name)


def test_a_wav_whose_header_counts_itself_is_whole() -> None:
    wav = encoded(tone(440, 0.2, SAMPLE_RATE), SAMPLE_RATE, "WAV")
    claimed = int.from_bytes(wav[40:44], "little") + 44
    np.testing.assert_array_equal(
        load_audio(wav[:40] + claimed.to_bytes(4, "little") + wav[44:], name="a.wav"),
        load_audio(wav, name="a.wav"),
    )


def test_bad_audio_ends_a_command_with_its_reason(tmp_path: Path) -> None:
    """The commands show the message of a ValueError, and the whole traceback of anything else."""
    with pytest.raises(ValueError, match=r"nothing\.wav: cannot read the file"):
        load_audio(tmp_path / "nothing.wav")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nothing\.wav"):
        load_audio(tmp_path / "nothing.wav")


def in_either_order(pcm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is decoded of headerless samples, big-endian and little-endian."""
    big = load_audio(pcm.astype(">i2").tobytes(), name="big.raw")
    return big, load_audio(pcm.astype("<i2").tobytes(), name="little.RAW")


def test_real_speech_is_decoded_from_either_byte_order(shared_data: Path) -> None:
    for path in sorted((shared_data / "an4" / "wav").rglob("*.flac"))[::40]:
        speech = load_audio(path)
        for decoded in in_either_order(np.round(speech * 2**15).astype(np.int16)):
            np.testing.assert_array_equal(decoded, speech)


@pytest.mark.parametrize("loudness", [1, 30, 3000, 9000])
def test_noise_is_decoded_from_either_byte_order(loudness: int) -> None:
    noise = np.random.default_rng(0).normal(scale=loudness, size=8000).astype(np.int16)
    for decoded in in_either_order(noise):
        np.testing.assert_array_equal(decoded, (noise / 2**15).astype(np.float32))


def test_headerless_silence_is_silence() -> None:
    for decoded in in_either_order(np.zeros(1000, np.int16)):
        np.testing.assert_array_equal(decoded, np.zeros(1000, np.float32))


@pytest.mark.parametrize(
    "pcm",
    [
        np.random.default_rng(0).integers(-(2**15), 2**15, 8000).astype(np.int16),
        (np.random.default_rng(0).normal(scale=20, size=8000).astype(np.int16) << 8),
        np.full(8000, 3, np.int16),
    ],
    ids=["noise over the whole range", "8 bits in 16", "constant"],
)
def test_a_byte_order_that_cannot_be_determined_is_refused(pcm: np.ndarray) -> None:
    for order in (">i2", "<i2"):
        with pytest.raises(
            AudioError, match=r"a\.raw: its byte order cannot be determined.* to wav$"
        ):
            load_audio(pcm.astype(order).tobytes(), name="a.raw")


def flac_that_states(content: bytes, samples: int) -> bytes:
    """The same FLAC with another number of samples in its header; 0 is unknown, as in a stream."""
    field = int.from_bytes(content[18:26], "big") >> 36 << 36 | samples
    return content[:18] + field.to_bytes(8, "big") + content[26:]


def test_flac_of_unknown_length_is_read_to_its_end() -> None:
    wave = tone(440, 12.3, SAMPLE_RATE)
    whole = encoded(wave, SAMPLE_RATE, "FLAC")
    # Unknown, and less than there is.
    for stated in (0, 5_000):
        streamed = load_audio(flac_that_states(whole, stated))
        np.testing.assert_array_equal(streamed, load_audio(whole))
    with pytest.raises(AudioError, match=r"a\.flac: .*lost sync"):
        load_audio(flac_that_states(whole, 0)[:-500], name="a.flac")


def test_a_length_that_cannot_be_is_named_and_nothing_is_set_aside_for_it() -> None:
    content = flac_that_states(encoded(tone(440, 0.5, SAMPLE_RATE), SAMPLE_RATE, "FLAC"), 10**10)
    with pytest.raises(AudioError, match=r"a\.flac: .*: 8000 of 10000000000 samples decode"):
        load_audio(content, name="a.flac")


def mp3(wave: np.ndarray, rate: int, channels: int, mode: str) -> bytes:
    stream = io.BytesIO()
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": mode}
    with soundfile.SoundFile(stream, "w", rate, channels, compression_level=0.3, **kind) as file:
        file.write(np.stack([wave] * channels, axis=1))
    return stream.getvalue()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\0\x0a" + bytes(10)])
def test_mp3_without_its_length_is_read_to_its_end(
    rate: int, channels: int, mode: str, tag: bytes
) -> None:
    # Quiet at first: from the first frames' size a decoder expects far more than there is, or,
    # with the loud part first, far less.
    rng = np.random.default_rng(0)
    for loud_first in (True, False):
        wave = 0.2 * rng.standard_normal(4 * rate) * np.repeat([1, 1e-3], 2 * rate)
        wave = wave if loud_first else wave[::-1].copy()
        whole = mp3(wave, rate, channels, mode)
        marks = [at for mark in (b"Xing", b"Info") if (at := whole.find(mark)) >= 0]
        bare = tag + whole[whole.index(whole[:2], min(marks)) :]
        expected, found = load_audio(whole), load_audio(bare)
        # The encoder's delay and padding, which the header states too, come on top.
        assert 0 <= len(found) - len(expected) < 0.3 * SAMPLE_RATE
        match = np.correlate(found[:12_000], expected[:8_000])
        start = int(np.abs(match).argmax())
        overlap = found[start : start + len(expected) - 2_000]
        np.testing.assert_allclose(overlap, expected[: len(overlap)], atol=0.02)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "GSM610", "IMA_ADPCM", "G721_32"])
@pytest.mark.parametrize("stated", [None, 0x7FFFF000, 0xFFFFFFFF])
def test_telephone_codecs_are_read_to_their_end(subtype: str, stated: int | None) -> None:
    content = bytearray(encoded(tone(300, 2.0, 8_000), 8_000, "WAV", subtype))
    if stated is not None:
        # As a recorder writes that does not know yet how long it will go on.
        for mark in (b"RIFF", b"fact", b"data"):
            place = content.index(mark) + (8 if mark == b"fact" else 4)
            content[place : place + 4] = stated.to_bytes(4, "little")
    samples = load_audio(bytes(content), name="a.WAV")
    # Codecs of blocks fill the last one up.
    assert 2 * SAMPLE_RATE <= len(samples) <= 2.1 * SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(samples[:SAMPLE_RATE]))
    assert abs(int(spectrum.argmax()) - 300) <= 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "NIST", "OGG"])
def test_a_file_without_samples_says_so(kind: str) -> None:
    empty = encoded(np.zeros(0), SAMPLE_RATE, kind)
    with pytest.raises(AudioError, match=r"^a\.wav: holds no samples"):
        load_audio(empty, name="a.wav")
    with pytest.raises(AudioError, match=r"^a\.raw: holds no samples"):
        load_audio(b"", name="a.raw")


@pytest.mark.parametrize("value", [1e37, -1e37, 1e6, 3e38])
def test_samples_far_beyond_full_scale_are_named(value: float) -> None:
    wave = np.stack([tone(440, 0.1, SAMPLE_RATE)] * 2, axis=1)
    wave[5] = value
    with pytest.raises(AudioError, match=r"a\.wav: holds samples (up to|that are not finite)"):
        load_audio(encoded(wave, SAMPLE_RATE, "WAV", "FLOAT"), name="a.wav")


@pytest.mark.parametrize("kind", [MemoryError, ValueError, TypeError, AssertionError, RuntimeError])
def test_whatever_the_decoder_raises_is_an_error_of_the_file(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise kind

    monkeypatch.setattr(soundfile.SoundFile, "read", fails)
    with pytest.raises(AudioError, match=rf"a\.wav: cannot be decoded: {kind.__name__}"):
        load_audio(encoded(tone(440, 0.1, SAMPLE_RATE), SAMPLE_RATE, "WAV"), name="a.wav")


def test_a_rate_that_is_none_is_named() -> None:
    with pytest.raises(AudioError, match=r"a\.wav: 1 samples a second are too few"):
        load_audio(encoded(tone(440, 0.1, SAMPLE_RATE), 1, "WAV"), name="a.wav")

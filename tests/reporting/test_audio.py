"""Audio and spectrogram are those of the recording; a file that cannot be read is named."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from asr_unlearn.reporting import write_report
from asr_unlearn.reporting.audio import LONGEST, WINDOW, audio, spectrogram
from tests.support.made_up_runs import recorded


def _content(uri: str) -> bytes:
    return base64.b64decode(uri.split(",", 1)[1])


def _tone(hertz: float, seconds: float) -> np.ndarray:
    wave = 0.4 * np.sin(2 * np.pi * hertz * np.arange(round(16_000 * seconds)) / 16_000)
    return wave.astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(st.integers(5, 120))
def test_a_tone_is_brightest_at_its_frequency(band: int) -> None:
    level = spectrogram(_tone(band * 16_000 / WINDOW, 0.3))
    assert level.shape[0] == WINDOW // 2 + 1
    assert level.min() >= 0
    assert level.max() == pytest.approx(1)
    middle = level[:, level.shape[1] // 2]
    assert WINDOW // 2 - int(middle.argmax()) == band  # the highest band comes first


@given(st.integers(1, 2 * WINDOW))
def test_silence_and_a_few_samples_have_a_spectrogram(samples: int) -> None:
    assert np.isfinite(spectrogram(np.zeros(samples, np.float32))).all()


def test_the_mp3_sounds_as_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _tone(700, 1.5), 16_000)
    made = audio(tmp_path / "a.wav")
    played, rate = soundfile.read(io.BytesIO(_content(made.mp3)))
    assert rate == 16_000
    assert len(played) / rate == pytest.approx(1.5, abs=0.15)
    power = np.abs(np.fft.rfft(played))
    assert power.argmax() * rate / len(played) == pytest.approx(700, abs=3)
    picture = Image.open(io.BytesIO(_content(made.spectrogram)))
    assert picture.mode == "RGBA"
    assert not made.cut
    assert made == audio(tmp_path / "a.wav")


def test_a_long_recording_is_cut_and_stays_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * 16_000)
    soundfile.write(tmp_path / "long.wav", noise, 16_000)
    made = audio(tmp_path / "long.wav")
    assert made.cut
    assert made.seconds == LONGEST
    assert len(made.mp3) + len(made.spectrogram) < 150_000


def test_examples_have_audio_unless_it_is_declined(
    make_run: Callable[..., Path],
) -> None:
    path = make_run()
    recorded(path)
    _, page = write_report(path)
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'<audio [^>]*src="data:audio/mpeg;base64,', text)) == 25
    assert "contains recordings" in text
    _, page = write_report(path, audio=False)
    text = page.read_text(encoding="utf-8")
    assert "<audio" not in text
    assert "contains recordings" not in text
    assert "Examples" in text


def test_a_library_without_mp3_leaves_out_the_audio_alone(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(1)

    path = make_run()
    recorded(path)
    monkeypatch.setattr(soundfile, "write", refuse)
    _, page = write_report(path)
    text = page.read_text(encoding="utf-8")
    assert "<audio" not in text
    assert "libsndfile writes no MP3" in text


def test_a_missing_recording_is_named(make_run: Callable[..., Path]) -> None:
    path = make_run()
    recorded(path).unlink()
    _, page = write_report(path)
    text = page.read_text(encoding="utf-8")
    assert "<audio" not in text
    assert re.search(r"left out: .*recording of forget-\d+ \(.*tone\.wav: cannot read", text)
    path.with_name("manifest.jsonl").unlink()
    _, page = write_report(path)
    assert "left out: manifest.jsonl (recordings" in page.read_text(encoding="utf-8")

"""Gabor filters pass the bands they are meant for."""

import numpy as np
import pytest
import torch
from torch import nn

from asr_unlearn.models.gabor_init import PRE_EMPHASIS, gabor_filters, start_from_filterbank


def test_filters_have_unit_norm_and_peak_at_rising_frequencies():
    filters = gabor_filters(40, 256)
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(40))
    spectra = np.abs(np.fft.rfft(filters.numpy(), 4096))
    peaks = spectra.argmax(1) * 16_000 / 4096
    assert (np.diff(peaks[5:]) > 0).all()
    # Mel-spaced centres between 60 and 7600 Hz, the last but one of 42 points.
    assert peaks[-1] == pytest.approx(7180, rel=0.02)


def test_pre_emphasis_is_folded_in():
    """Up to scale, the filter on the wave is the bare Gabor filter on the emphasised wave."""
    wave = np.random.default_rng(0).standard_normal(4000)
    emphasised = wave[1:] - PRE_EMPHASIS * wave[:-1]
    folded = gabor_filters(1, 65, 800.0, 1600.0)[0].double().numpy()
    bare = np.zeros(64)
    carry = 0.0
    for tap in range(64):  # folded[k] = bare[k−1] − 0.97 bare[k], solved from the first tap on
        bare[tap] = (carry - folded[tap]) / PRE_EMPHASIS
        carry = bare[tap]
    np.testing.assert_allclose(
        np.correlate(wave, folded)[:100], np.correlate(emphasised, bare)[:100], atol=1e-4
    )


def test_the_convolution_starts_with_unit_output_variance():
    waves = [torch.randn(8000) * 3, torch.randn(6000)]
    conv = nn.Conv1d(1, 24, 200, stride=20)
    start_from_filterbank(conv, waves)
    outputs = torch.cat([conv(wave[None, None])[0] for wave in waves], dim=1)
    torch.testing.assert_close(outputs.std(dim=1), torch.ones(24), rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="convolution over the wave"):
        start_from_filterbank(nn.Conv1d(2, 4, 8), waves)

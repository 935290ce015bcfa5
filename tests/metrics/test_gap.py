"""Gaps are zero for the retrained model itself."""

import pytest

from asr_unlearn.metrics.gap import gap


def test_gap_is_zero_and_tow_one_for_the_retrained_model_itself():
    figures = {f: {"forget": 0.3, "retain": 0.1, "test": 0.2} for f in ("wer", "cer", "loss")}
    same = gap(figures, figures)
    assert same["avg_d"] == 0.0
    assert same["tow"] == 1.0
    worse = {**figures, "wer": {"forget": 0.1, "retain": 0.2, "test": 0.2}}
    found = gap(worse, figures)
    assert found["wer"] == pytest.approx({"forget": -0.2, "retain": 0.1, "test": 0.0})
    assert found["avg_d"] == pytest.approx(0.1)
    assert found["tow"] == pytest.approx(0.8 * 0.9)

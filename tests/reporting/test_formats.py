"""Numbers as text."""

import math
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_unlearn.reporting import formats
from asr_unlearn.reporting.comparison import Spread


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (formats.percent, 0.0213, "2.13%"),
        (formats.percent, 0.2891, "28.9%"),
        (formats.percent, 0.09999, "10.0%"),
        (formats.points, 0.034, "+3.40"),
        (formats.points, -0.1234, "−12.3"),
        (formats.points, -0.00001, "0.00"),
        (formats.number, 0.58, "0.580"),
        (formats.number, 0.00042, "0.00042"),
        (formats.difference, 2e-17, "0.000"),
        (formats.number, 0.0, "0.000"),
        (formats.difference, -0.03, "−0.030"),
        (formats.times, 0.19, "0.190×"),
        (formats.count, 1_080_000, "1\u202f080\u202f000"),
        (formats.megabytes, 700 * 2**20, "700 MiB"),
        (formats.duration, 81.44, "81.4 s"),
        (formats.duration, 754, "12 min 34 s"),
        (formats.duration, 7500, "2 h 5 min"),
    ],
)
def test_formats(form: Callable[[float], str], value: float, text: str) -> None:
    assert form(value) == text


@given(st.floats(-1e3, 1e3))
def test_a_written_number_is_the_number_rounded(value: float) -> None:
    written = formats.difference(value).replace("−", "-").replace("\u202f", "")
    assert math.isclose(float(written), value, rel_tol=0.05, abs_tol=1e-8)


def test_a_probability_near_0_is_said_to_be_below_a_thousandth() -> None:
    assert formats.probability(0.0) == formats.probability(1e-9) == "<0.001"
    assert formats.probability(0.0512) == "0.051"
    assert formats.probability.spread(Spread((1e-6, 3e-6))) == "<0.001"
    # A mean of probabilities means nothing.
    assert formats.probability.spread(Spread((0.1, 0.2))) == "0.100, 0.200"


def test_several_seeds_are_mean_and_sample_deviation() -> None:
    values = (0.30, 0.33, 0.27)
    spread = Spread(values)
    assert spread.mean == pytest.approx(statistics.fmean(values))
    assert spread.deviation == pytest.approx(statistics.stdev(values))
    assert formats.percent.spread(spread) == "30.0 ± 3.0%"
    assert formats.percent.spread(Spread((0.3,))) == "30.0%"
    assert formats.percent.spread(None) == "—"
    assert formats.difference.spread(Spread((-0.2, 0.2))) == "0.000 ± 0.283"

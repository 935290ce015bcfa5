"""The axes of forgetting against damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asr_unlearn.reporting.figures import trade_off
from asr_unlearn.reporting.figures.palette import looks
from tests.support.made_up_runs import comparison_of

MakeRun = Callable[..., Path]


@pytest.mark.parametrize(("gap", "reach"), [(0.0004, 1.0), (0.05, 5.0)])
def test_tenths_of_a_point_do_not_fill_the_picture(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, gap: float, reach: float
) -> None:
    """What differs by less than a point is drawn near the retrained model."""

    def change(models: dict[str, Any]) -> None:
        for model in models.values():
            for part in ("retain", "forget"):
                model.get("gap_to_retrained", {}).get("wer", {})[part] = gap

    ends: list[tuple[float, float]] = []

    def spy(figure: Any, axes: Any, placed: Any) -> None:
        ends.extend([axes.get_xlim(), axes.get_ylim()])

    monkeypatch.setattr(trade_off, "_name_points", spy)
    found = comparison_of(make_run(), change)
    assert trade_off.trade_off(found, looks([entry.name for entry in found.entries])) is not None
    assert all(low <= -1.0 and high >= reach for low, high in ends)
    assert all(high < 2 * reach for _, high in ends)

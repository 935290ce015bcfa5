"""A model's distance from the one that was retrained without the forget speakers."""

from collections.abc import Mapping
from math import prod

FIGURES = ("wer", "cer", "loss")
TOW_PARTS = ("forget", "retain", "test")

Figures = Mapping[str, Mapping[str, float]]


def gap(model: Figures, retrained: Figures) -> dict[str, object]:
    """Every figure minus the retrained model's; Avg.D and ToW over WER.

    Avg.D is the mean absolute WER gap over all parts; ToW is Π(1 − |ΔWER|) over forget, retain
    and test ("tug of war", Zhao et al., arXiv 2406.01257): 1 is the retrained model itself.
    """
    gaps: dict[str, dict[str, float]] = {
        figure: {
            part: model[figure][part] - retrained[figure][part]
            for part in model[figure]
            if part in retrained[figure]
        }
        for figure in FIGURES
    }
    wer = gaps["wer"]
    found: dict[str, object] = dict(gaps)
    found["avg_d"] = sum(abs(value) for value in wer.values()) / len(wer)
    if all(part in wer for part in TOW_PARTS):
        found["tow"] = prod(max(0.0, 1 - abs(wer[part])) for part in TOW_PARTS)
    return found

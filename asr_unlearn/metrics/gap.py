"""Differences between a model and the one retrained without the forget speakers."""

from collections.abc import Mapping
from math import prod

FIGURES = ("wer", "cer", "accuracy", "loss")
TOW_PARTS = ("forget", "retain", "test")

Figures = Mapping[str, Mapping[str, float]]


def gap(model: Figures, retrained: Figures) -> dict[str, object]:
    """Return every figure minus the retrained model's, and Avg.D and ToW.

    Avg.D ("avg_d") is the mean absolute gap over all parts, in WER or a classifier's accuracy. ToW
    ("tow") is Π(1 − |Δ|) over forget, retain and test: 1 for the retrained model itself ("tug of
    war", Zhao et al., arXiv 2406.01257).

    Deviation: a factor of ToW is 0 where |Δ| is above 1. WERs can differ by so much, the paper's
    accuracies cannot, and the product of two negative factors would be positive.
    """
    gaps: dict[str, dict[str, float]] = {
        figure: {
            part: model[figure][part] - retrained[figure][part]
            for part in model[figure]
            if part in retrained[figure]
        }
        for figure in FIGURES
        if figure in model
    }
    leading = gaps["wer"] if "wer" in gaps else gaps["accuracy"]
    found: dict[str, object] = dict(gaps)
    found["avg_d"] = sum(abs(value) for value in leading.values()) / len(leading)
    if all(part in leading for part in TOW_PARTS):
        found["tow"] = prod(max(0.0, 1 - abs(leading[part])) for part in TOW_PARTS)
    return found

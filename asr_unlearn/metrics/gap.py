"""A model's distance from the one that was retrained without the forget speakers."""

from collections.abc import Mapping
from math import prod

FIGURES = ("wer", "cer", "accuracy", "loss")
TOW_PARTS = ("forget", "retain", "test")

Figures = Mapping[str, Mapping[str, float]]


def gap(model: Figures, retrained: Figures) -> dict[str, object]:
    """Every figure minus the retrained model's; Avg.D and ToW over WER, a classifier's accuracy.

    Avg.D is the mean absolute gap over all parts; ToW is Π(1 − |Δ|) over forget, retain and test
    ("tug of war", Zhao et al., arXiv 2406.01257): 1 is the retrained model itself.

    Deviation: a factor of ToW is 0 where |Δ| is above 1, which a WER can be apart, unlike the
    accuracies of the paper: without the clamp two such factors would make a positive product.
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

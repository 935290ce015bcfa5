"""Accuracy and confusion matrix of a classifier."""

from collections.abc import Sequence
from typing import Any

from sklearn.metrics import confusion_matrix

from asr_unlearn.metrics.wer import Errors, rate, speaker_interval

# A larger matrix cannot be read.
MOST_CLASSES = 40


def accuracy(
    wrong: Sequence[int], speakers: Sequence[str]
) -> tuple[float, tuple[float, float] | None]:
    """Return the share of correct predictions (`wrong` is 0), and its 95% interval over speakers.

    The interval is None with fewer than three speakers, and without any error.
    """
    counts = [Errors(errors, 1) for errors in wrong]
    bounds = speaker_interval(counts, speakers)
    return 1 - rate(counts), bounds and (max(0.0, 1 - bounds[1]), 1 - bounds[0])


def confusion(
    truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, Any] | None:
    """Return the labels, and for each true class (row) the counts of predicted classes (columns).

    None with more than 40 classes.
    """
    if len(labels) > MOST_CLASSES:
        return None
    counts = confusion_matrix(truth, predicted, labels=labels)
    return {"labels": list(labels), "counts": counts.tolist()}

"""How often a classifier names the right class, and which it takes for which."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from asr_unlearn.metrics.wer import Errors, rate, speaker_interval

# Beyond these a matrix is no longer read.
MOST_CLASSES = 40


def accuracy(
    wrong: Sequence[int], speakers: Sequence[str]
) -> tuple[float, tuple[float, float] | None]:
    """Share of the answers that are right (`wrong` is 0), and its 95% interval over speakers.

    The interval is None with fewer than two speakers.
    """
    counts = [Errors(errors, 1) for errors in wrong]
    bounds = speaker_interval(counts, speakers)
    return 1 - rate(counts), bounds and (1 - bounds[1], 1 - bounds[0])


def confusion(
    truth: Sequence[str], answers: Sequence[str], labels: Sequence[str]
) -> dict[str, Any] | None:
    """Counts of the answers (columns) to each true class (rows), in the order of `labels`.

    None with more than 40 classes.
    """
    if len(labels) > MOST_CLASSES:
        return None
    found = Counter(zip(truth, answers, strict=True))
    return {"labels": list(labels), "counts": [[found[t, a] for a in labels] for t in labels]}

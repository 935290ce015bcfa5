"""Word and character error rates, pooled, with an interval over speakers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer
import numpy as np

from asr_unlearn.metrics.bootstrap import percentile_interval

RESAMPLES = 2000


@dataclass(frozen=True)
class Errors:
    """Edit distance of one utterance and the length of its reference, in words or characters."""

    errors: int
    length: int


def count_errors(reference: str, hypothesis: str, unit: Literal["word", "character"]) -> Errors:
    """Substitutions, deletions and insertions of an alignment with the fewest (jiwer's).

    Raises:
        ValueError: the reference is empty; an error rate has no meaning then.
    """
    if not reference.strip():
        raise ValueError("the reference transcript is empty")
    process = jiwer.process_words if unit == "word" else jiwer.process_characters
    found = process(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return Errors(errors, found.hits + found.substitutions + found.deletions)


def rate(counts: Sequence[Errors]) -> float:
    """Errors of all utterances over their reference lengths, as a fraction."""
    return sum(c.errors for c in counts) / sum(c.length for c in counts)


def speaker_interval(
    counts: Sequence[Errors],
    speakers: Sequence[str],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Bootstrap interval of the pooled rate over speakers (Bisani & Ney, ICASSP 2004).

    Speakers are drawn, not utterances: those of one speaker share what is hard about them.
    None with fewer than two speakers, where a bootstrap says nothing.
    """
    names = sorted(set(speakers))
    if len(names) < 2:
        return None
    index = {name: i for i, name in enumerate(names)}
    sums = np.zeros((len(names), 2))
    for count, speaker in zip(counts, speakers, strict=True):
        sums[index[speaker]] += (count.errors, count.length)
    rng = np.random.default_rng(seed)
    draws = sums[rng.integers(len(names), size=(resamples, len(names)))].sum(axis=1)
    return percentile_interval(draws[:, 0] / draws[:, 1], [len(names)], level=level)

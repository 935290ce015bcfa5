"""Pooled word and character error rates, with an interval over speakers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

from asr_unlearn.metrics.intervals import ratio_interval
from asr_unlearn.runtime.errors import InputError


@dataclass(frozen=True)
class Errors:
    """Edit distance of one utterance and the length of its reference, in words or characters."""

    errors: int
    length: int


def count_errors(reference: str, hypothesis: str, unit: Literal["word", "character"]) -> Errors:
    """Return the edit distance between two transcripts, and the reference's length (jiwer).

    Raises:
        InputError: the reference is empty, so there is no error rate.
    """
    if not reference.strip():
        raise InputError("the reference transcript is empty")
    process = jiwer.process_words if unit == "word" else jiwer.process_characters
    found = process(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return Errors(errors, found.hits + found.substitutions + found.deletions)


def rate(counts: Sequence[Errors]) -> float:
    """Return the errors of all utterances over their reference lengths, as a fraction."""
    return sum(c.errors for c in counts) / sum(c.length for c in counts)


def speaker_interval(
    counts: Sequence[Errors], speakers: Sequence[str]
) -> tuple[float, float] | None:
    """Return the 95% interval of the pooled rate over speakers (see `ratio_interval`)."""
    return ratio_interval([c.errors for c in counts], [c.length for c in counts], speakers)

"""Loss, error rates and confusion matrix of a model, by part of the split."""

from collections.abc import Iterator, Sequence
from typing import Any

from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.predictions import Row, classified
from asr_unlearn.metrics.accuracy import accuracy, confusion
from asr_unlearn.metrics.intervals import signed_ratio_interval
from asr_unlearn.metrics.wer import Errors, rate, speaker_interval

# Errors and lengths of an utterance, by the rate that they make.
COUNTS = {
    "wer": ("word_errors", "words"),
    "cer": ("character_errors", "characters"),
    "raw_wer": ("raw_word_errors", "raw_words"),
}


def figures_by_part(rows: Sequence[Row]) -> dict[str, Any]:
    """Return loss, and WER and CER or a classifier's accuracy, by part.

    Rates are fractions; their 95% intervals over speakers are under the key "ci95". "raw_wer" is
    the WER before a Whisper's texts are normalised.
    """
    names = rate_names(rows)
    found: dict[str, Any] = {name: {} for name in names}
    found |= {"loss": {}, "ci95": {name: {} for name in names}}
    for part in PARTS:
        chosen = [r for r in rows if r["part"] == part]
        if not chosen:
            continue
        found["loss"][part] = sum(r["loss"] for r in chosen) / len(chosen)
        for name, (value, interval) in rates(chosen).items():
            found[name][part] = value
            if interval is not None:
                found["ci95"][name][part] = list(interval)
    return found


def rate_names(rows: Sequence[Row]) -> list[str]:
    """Return the names of the rates that these rows have, the most telling first."""
    if classified(rows):
        return ["accuracy"]
    return ["wer", "cer"] + ["raw_wer"] * any("raw_words" in r for r in rows)


def rates(rows: Sequence[Row]) -> dict[str, tuple[float, tuple[float, float] | None]]:
    """Return each of `rate_names` over some utterances, and its 95% interval over speakers."""
    speakers = [r["speaker"] for r in rows]
    if classified(rows):
        return {"accuracy": accuracy([r["errors"] for r in rows], speakers)}
    found = {}
    for name in rate_names(rows):
        errors, lengths = COUNTS[name]
        counts = [Errors(r[errors], r[lengths]) for r in rows]
        found[name] = rate(counts), speaker_interval(counts, speakers)
    return found


def overlong_transcripts(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what overlong transcripts add to each part's WER, under the key "overlong".

    A decoder may repeat words until the longest length that it may write: a single utterance then
    decides the WER of its part, which its loss does not show. A transcript is overlong that has
    more than twice the words of the reference and ten more.

    Returns:
        For each part that has any, "utterances", how many, and "wer", the words of theirs in excess
        of the reference as a share of the part's words; empty without any.
    """
    found: dict[str, Any] = {}
    for part in PARTS:
        chosen = [r for r in rows if r["part"] == part and "words" in r]
        excess = [(len(r["hypothesis"].split()), r["words"]) for r in chosen]
        added = [said - words for said, words in excess if said > 2 * words + 10]
        if added and (words := sum(r["words"] for r in chosen)):
            found[part] = {"utterances": len(added), "wer": sum(added) / words}
    return {"overlong": found} if found else {}


def confusion_on_test(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a classifier's confusion matrix on the part test, under the key "confusion".

    Empty for a recogniser, without test utterances, and with more classes than can be read.
    """
    tested = [r for r in rows if r["part"] == "test"]
    if not (tested and classified(rows)):
        return {}
    labels = sorted({r[key] for r in rows for key in ("reference", "hypothesis")})
    truth, predicted = ([r[key] for r in tested] for key in ("reference", "hypothesis"))
    found = confusion(truth, predicted, labels)
    return {} if found is None else {"confusion": found}


def paired(rows: Sequence[Row], others: Sequence[Row], part: str) -> list[tuple[Row, Row]]:
    """Return two models' rows of each utterance of a part that both have."""
    theirs = {r["id"]: r for r in others if r["part"] == part}
    return [(r, theirs[r["id"]]) for r in rows if r["part"] == part and r["id"] in theirs]


def gap_intervals(rows: Sequence[Row], others: Sequence[Row]) -> dict[str, dict[str, list[float]]]:
    """Return 95% intervals over speakers of rows' figures minus the others', by figure and part.

    Both models have the same utterances, so that what makes these hard is no part of the
    difference, as it is of either model's own interval.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for part in PARTS:
        pairs = paired(rows, others, part)
        speakers = [own["speaker"] for own, _ in pairs]
        for figure, above, below in _differences(pairs):
            if bounds := signed_ratio_interval(above, below, speakers):
                found.setdefault(figure, {})[part] = list(bounds)
    return found


def _differences(pairs: Sequence[tuple[Row, Row]]) -> Iterator[tuple[str, list[float], list[int]]]:
    """Of each figure the differences of utterances, and what their sum is divided by."""
    ones = [1] * len(pairs)
    yield "loss", [own["loss"] - other["loss"] for own, other in pairs], ones
    for name in rate_names([own for own, _ in pairs]) if pairs else ():
        if name == "accuracy":
            yield name, [other["errors"] - own["errors"] for own, other in pairs], ones
        else:
            errors, words = COUNTS[name]
            above = [own[errors] - other[errors] for own, other in pairs]
            yield name, above, [own[words] for own, _ in pairs]

"""A few utterances of each part: transcripts of all models, word by word, and the recording."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import jiwer

from asr_unlearn.data.audio import AudioError
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.data.split import PARTS
from asr_unlearn.evaluation.results import Results
from asr_unlearn.reporting.audio import Audio, audio
from asr_unlearn.reporting.comparison import Comparison
from asr_unlearn.reporting.runs import Prediction, Runs, key

EXAMPLES = 5
Kind = Literal["equal", "substitute", "delete", "insert"]


class Word(NamedTuple):
    """One step of an alignment; the side without a word is empty."""

    kind: Kind
    reference: str
    hypothesis: str


class Hypothesis(NamedTuple):
    """A transcript, the models that all gave it, and their losses."""

    models: list[str]
    words: list[Word]
    losses: list[float]
    errors: int


class Example(NamedTuple):
    """One utterance; `audio` is None without its recording."""

    id: str
    speaker: str
    seconds: float | None
    reference: str
    hypotheses: list[Hypothesis]
    audio: Audio | None


class Recordings(NamedTuple):
    """Paths of the recordings by utterance, and the names of those not found."""

    paths: Mapping[str, Path]
    missing: list[str]


def recordings(results: Results, runs: Runs) -> Recordings:
    """From the manifest beside results.json, or from the one that a deletion record names."""
    places = [results.path.with_name("manifest.jsonl")]
    places += [
        model.folder / run.record["paths"]["manifest"]
        for model in results.models
        if (run := runs[key(model)]).record and "manifest" in run.record.get("paths", {})
    ]
    place = next((place for place in places if place.exists()), None)
    if place is None:
        return Recordings({}, ["manifest.jsonl (recordings of the examples)"])
    return Recordings({u.id: u.audio for u in read_manifest(place)}, [])


def examples(
    found: Comparison, runs: Runs, recorded: Recordings | None
) -> dict[str, list[Example]]:
    """Up to five utterances of each part, from the first seed of every model.

    They are drawn by the hash of their id: the choice is the same in every report of a corpus and
    independent of the result. Recordings that cannot be read are added to `recorded.missing`.
    Without `recorded`, the examples have no audio.
    """
    rows = {
        entry.name: {row.id: row for row in runs[key(entry.models[0])].predictions}
        for entry in found.entries
    }
    chosen: dict[str, list[Example]] = {}
    for part in PARTS:
        ids = {
            row.id
            for of_model in rows.values()
            for row in of_model.values()
            if row.part == part and row.reference is not None and row.hypothesis is not None
        }
        drawn = sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).digest())[:EXAMPLES]
        if drawn:
            chosen[part] = [_example(id_, rows, recorded) for id_ in drawn]
    return chosen


def align(reference: str, hypothesis: str) -> list[Word]:
    """Levenshtein alignment of the words, as jiwer counts them for the WER."""
    found = jiwer.process_words([reference], [hypothesis])
    truth, guess = found.references[0], found.hypotheses[0]
    words: list[Word] = []
    for chunk in found.alignments[0]:
        left = truth[chunk.ref_start_idx : chunk.ref_end_idx]
        right = guess[chunk.hyp_start_idx : chunk.hyp_end_idx]
        match chunk.type:
            case "delete":
                words += [Word("delete", word, "") for word in left]
            case "insert":
                words += [Word("insert", "", word) for word in right]
            case "equal":
                words += [Word("equal", *pair) for pair in zip(left, right, strict=True)]
            case _:
                words += [Word("substitute", *pair) for pair in zip(left, right, strict=True)]
    return words


def _example(
    id_: str, rows: Mapping[str, Mapping[str, Prediction]], recorded: Recordings | None
) -> Example:
    by_text: dict[str, Hypothesis] = {}
    first: Prediction | None = None
    for model, of_model in rows.items():
        row = of_model.get(id_)
        if row is None or row.reference is None or row.hypothesis is None:
            continue
        first = first or row
        if row.hypothesis not in by_text:
            words = align(row.reference, row.hypothesis)
            errors = sum(word.kind != "equal" for word in words)
            by_text[row.hypothesis] = Hypothesis([], words, [], errors)
        by_text[row.hypothesis].models.append(model)
        if row.loss is not None:
            by_text[row.hypothesis].losses.append(row.loss)
    assert first is not None
    assert first.reference is not None
    own = _audio(id_, recorded) if recorded else None
    hypotheses = list(by_text.values())
    return Example(id_, first.speaker, first.seconds, first.reference, hypotheses, own)


def _audio(id_: str, recorded: Recordings) -> Audio | None:
    if id_ not in recorded.paths:
        return None
    try:
        return audio(recorded.paths[id_])
    except AudioError as error:
        recorded.missing.append(f"recording of {id_} ({error})")
        return None

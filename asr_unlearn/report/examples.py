"""A few utterances of each part: to measure_losses, to see, and as every model transcribed them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from asr_unlearn.data.audio import AudioError
from asr_unlearn.data.manifest import read_manifest
from asr_unlearn.evaluation.results import PARTS, Results
from asr_unlearn.report.alignment import Word, align
from asr_unlearn.report.comparison import Comparison
from asr_unlearn.report.runs import Runs, Transcript, key
from asr_unlearn.report.sound import Sound, sound

EXAMPLES = 5


class UtteranceLoss(NamedTuple):
    """What one or more models made of an utterance, all of them the same."""

    models: list[str]
    words: list[Word]
    losses: list[float]
    errors: int


class Example(NamedTuple):
    """One utterance under every model that has it; the sound where the recording is at hand."""

    id: str
    speaker: str
    seconds: float | None
    reference: str
    heard: list[UtteranceLoss]
    sound: Sound | None


class Recordings(NamedTuple):
    """Where the recordings are, by utterance; and what of them could not be had."""

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
    """Up to five utterances a part, from each model's first seed.

    They are drawn by the hash of their id, so the choice is the same in every report of a corpus
    and looks at neither transcript nor error. Recordings that cannot be read are added to
    `recorded.missing`; without `recorded` there is nothing to measure_losses.
    """
    rows = {
        entry.name: {row.id: row for row in runs[key(entry.models[0])].transcripts}
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


def _example(
    id_: str, rows: Mapping[str, Mapping[str, Transcript]], recorded: Recordings | None
) -> Example:
    said: dict[str, UtteranceLoss] = {}
    first: Transcript | None = None
    for model, of_model in rows.items():
        row = of_model.get(id_)
        if row is None or row.reference is None or row.hypothesis is None:
            continue
        first = first or row
        if row.hypothesis not in said:
            words = align(row.reference, row.hypothesis)
            errors = sum(word.kind != "equal" for word in words)
            said[row.hypothesis] = UtteranceLoss([], words, [], errors)
        said[row.hypothesis].models.append(model)
        if row.loss is not None:
            said[row.hypothesis].losses.append(row.loss)
    assert first is not None
    assert first.reference is not None
    heard = list(said.values())
    own = _sound(id_, recorded) if recorded else None
    return Example(id_, first.speaker, first.seconds, first.reference, heard, own)


def _sound(id_: str, recorded: Recordings) -> Sound | None:
    if id_ not in recorded.paths:
        return None
    try:
        return sound(recorded.paths[id_])
    except AudioError as error:
        recorded.missing.append(f"recording of {id_} ({error})")
        return None

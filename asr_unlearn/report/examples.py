"""A few utterances of each part, as every model transcribed them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from asr_unlearn.report.alignment import Word, align
from asr_unlearn.report.corpus import Runs, key
from asr_unlearn.report.results import PARTS
from asr_unlearn.report.runs import Transcript
from asr_unlearn.report.seeds import Entry

EXAMPLES = 5


class Heard(NamedTuple):
    """One model's hypothesis beside the reference."""

    model: str
    words: list[Word]
    loss: float | None
    errors: int


class Example(NamedTuple):
    """One utterance under every model that has it."""

    id: str
    speaker: str
    seconds: float | None
    reference: str
    heard: list[Heard]


def examples(found: Sequence[Entry], runs: Runs) -> dict[str, list[Example]]:
    """Up to five utterances a part, from each model's first seed.

    They are drawn by the hash of their id, so the choice is the same in every report of a corpus
    and looks at neither transcript nor error.
    """
    rows = {
        entry.name: {row.id: row for row in runs[key(entry.models[0])].transcripts}
        for entry in found
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
            chosen[part] = [_example(id_, rows) for id_ in drawn]
    return chosen


def _example(id_: str, rows: Mapping[str, Mapping[str, Transcript]]) -> Example:
    heard = []
    first: Transcript | None = None
    for model, of_model in rows.items():
        row = of_model.get(id_)
        if row is None or row.reference is None or row.hypothesis is None:
            continue
        first = first or row
        words = align(row.reference, row.hypothesis)
        errors = sum(word.kind != "equal" for word in words)
        heard.append(Heard(model, words, row.loss, errors))
    assert first is not None
    assert first.reference is not None
    return Example(id_, first.speaker, first.seconds, first.reference, heard)

"""A further test set: the same models on recordings of a manifest of their own.

The test part of a split is a few speakers, whose error rates are rough. More recordings of theirs,
another corpus, or what the model is used for tell more of what unlearning did to everybody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from asr_unlearn.data.corpus import Corpus, check_measured
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.replaced import check_recordings
from asr_unlearn.data.split import Split
from asr_unlearn.evaluation.error_rates import figures_by_part, overlong_transcripts
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row, Transcription, transcribe
from asr_unlearn.evaluation.speaker_verification import names_speakers
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.targets import check_targets_of_all
from asr_unlearn.models.tasks.window import longest_seconds
from asr_unlearn.runtime.errors import InputError

TEST = "test"


class FurtherTestMeasure(Measure):
    """Loss and error rates of every model on the manifest's utterances.

    Other recordings of speakers of the split's other parts than test are left out: models were
    trained on their voices, or unlearning was stopped by them. A window that is shorter than the
    longest recording is extended.
    """

    name: ClassVar[str] = "further_test"
    takes: ClassVar[str] = "a manifest of recordings to test on"

    def check(self, given: Evaluated) -> None:
        if names_speakers(given.models[0], given.corpus.manifest):
            raise InputError(
                f"{self.name}: a classifier of speakers names those that it was trained on, and "
                "these are left out"
            )
        utterances = self._utterances(given.corpus)
        models = [long_enough(model, utterances) for model in given.models]
        try:
            check_targets_of_all(models, utterances)
        except InputError as error:
            raise InputError(f"{self.name}={self.argument}: {error}") from None

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        utterances = self._utterances(given.corpus)
        split = Split(0, (), (), {TEST: tuple(u.id for u in utterances)})
        models = [
            replace(long_enough(model, utterances), cache=model.predictions / self.name)
            for model in given.models
        ]
        jobs = [Transcription(m, utterances, split, given.device, given.beams) for m in models]
        given.run(jobs, self.name)
        rows = {
            model.key: transcribe(model, utterances, split, device=given.device, beams=given.beams)
            for model in models
        }
        return {key: entry(self.name, own) for key, own in rows.items()}

    def _utterances(self, corpus: Corpus) -> list[Utterance]:
        """Those of the manifest that are in the test part, or whose speakers are in no other."""
        path, parts = Path(self.argument), corpus.split.parts
        known = {u.speaker for u in corpus.part(*(part for part in parts if part != TEST))}
        tested = set(parts.get(TEST, ()))
        found = [u for u in read_manifest(path) if u.id in tested or u.speaker not in known]
        if not found:
            raise InputError(
                f"{self.name}={path}: all its speakers are in the forget, retain or unseen part of "
                "the split"
            )
        check_measured(found, path, "give what it writes")
        return check_recordings(found, corpus.recordings)


def long_enough(model: SavedModel, utterances: Sequence[Utterance]) -> SavedModel:
    """Return the model with a window for all utterances, where it has one that is too short."""
    longest = longest_seconds(utterances)
    if model.window is None or longest is None or longest <= model.window:
        return model
    return replace(model, window=longest)


def entry(name: str, rows: Sequence[Row]) -> Entry:
    """Return how many utterances and speakers there are, loss and rates, and their intervals."""
    figures = figures_by_part(rows)
    intervals = figures.pop("ci95")
    found = {"utterances": len(rows), "speakers": len({row["speaker"] for row in rows})}
    found |= {figure: by_part[TEST] for figure, by_part in figures.items()}
    for long in overlong_transcripts(rows).get("overlong", {}).values():
        found |= {"overlong": long["utterances"], "overlong_wer": long["wer"]}
    known = {rate: own[TEST] for rate, own in intervals.items() if TEST in own}
    return {name: found, "ci95": {name: known} if known else {}}

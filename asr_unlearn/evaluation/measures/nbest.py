"""A wider search: is the transcript among the decoder's best, though greedy search misses it?

Forgetting by the likeliest transcript alone may leave the right one next to it. The five best of a
beam search are compared with what was said; the measure is the retrained model's figure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from asr_unlearn.data.batching import Batch
from asr_unlearn.evaluation.cached_job import PartsJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.metrics.wer import Errors, count_errors, rate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import in_batches
from asr_unlearn.models.saved_model import Key
from asr_unlearn.models.tasks import Seq2Seq
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

PARTS = ("forget", "unseen")
# Transcripts of each utterance, and beams of the search.
COUNT = 5
# Increase when the content of nbest.json changes.
VERSION = 1


@dataclass(frozen=True)
class NBest(PartsJob):
    """The errors of the best among one model's `COUNT` likeliest transcripts of each utterance.

    The result is nbest.json among the model's predictions: by part the word errors and the words of
    each utterance.
    """

    file: ClassVar[str] = "nbest.json"

    def made_from(self) -> Any:
        return [[VERSION, COUNT], self.model.files(), self.contents(PARTS)]

    def make(self) -> None:
        task = self.model.task(self.device)
        assert isinstance(task, Seq2Seq)

        def written(batch: Batch) -> list[list[str]]:
            return task.best_transcripts(batch, COUNT)

        found: dict[str, list[tuple[int, int]]] = {}
        inputs, described = Inputs(task), f"{self.model.name}, {COUNT} best"
        for part in PARTS:
            errors = found[part] = []
            batches = in_batches(written, task, inputs, self.corpus.part(part), described)
            for utterances, texts in batches:
                for utterance, own in zip(utterances, texts, strict=True):
                    compared = [task.compared(text, utterance.language) for text in own]
                    best = fewest_errors(task.reference(utterance), compared)
                    errors.append((best.errors, best.length))
        write_json(self.path, found)

    def of_part(self, entries: Sequence[tuple[int, int]]) -> dict[str, float]:
        """Return the WER of the best transcripts, and the share of those without an error."""
        errors = [Errors(*pair) for pair in entries]
        return {
            "oracle_wer": rate(errors),
            "found": sum(not one.errors for one in errors) / len(errors),
        }


def fewest_errors(reference: str, transcripts: list[str]) -> Errors:
    """Return the word errors of the transcript that is nearest to the reference."""
    found = (count_errors(reference, text, "word") for text in transcripts)
    return min(found, key=lambda one: one.errors)


class NBestMeasure(Measure):
    """The figures of `NBest` for every model."""

    name: ClassVar[str] = "nbest"

    def check(self, given: Evaluated) -> None:
        if given.models[0].kind() != "seq2seq":
            raise InputError("nbest searches with a decoder; these models have none")

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        jobs = [NBest(model, given.corpus, given.device) for model in given.models]
        return given.figures(jobs, self.name)

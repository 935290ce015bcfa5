"""Extraction by a prefix: does a decoder finish a transcript without its recording?

The decoder is given near silence and the first half of a transcript. Greedy search writes the
second half word for word exactly where each of its labels is the likeliest one after those before
it, so that one pass with all labels answers it, and nothing is generated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import Batch
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.noise import white_noise
from asr_unlearn.evaluation.cached_job import PartsJob
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import in_batches
from asr_unlearn.models.saved_model import Key
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import write_json

PARTS = ("forget", "unseen")
# Of the noise that stands for silence: features of a wave of zeros need not be finite.
AMPLITUDE = 1e-3
# Shorter transcripts have no two halves.
FEWEST_LABELS = 4
# Increase when the content of extraction.json changes.
VERSION = 1


@dataclass(frozen=True)
class Extraction(PartsJob):
    """How much of each transcript's second half one model writes without its recording.

    The result is extraction.json among the model's predictions: by part the share of right labels
    of each utterance.
    """

    file: ClassVar[str] = "extraction.json"

    def made_from(self) -> Any:
        settings = [VERSION, AMPLITUDE, FEWEST_LABELS]
        return [settings, self.model.files(), self.contents(PARTS)]

    def make(self) -> None:
        task = self.model.task(self.device)
        inputs = Inputs(task, load=near_silence)
        found = {}
        for part in PARTS:
            utterances = [u for u in self.corpus.part(part) if len(task.target(u)) > FEWEST_LABELS]
            shares: list[float] = []
            described = f"{self.model.name}, extraction"
            for _, own in in_batches(
                lambda batch: second_half(task, batch), task, inputs, utterances, described
            ):
                shares += own.tolist()
            found[part] = shares
        write_json(self.path, found)

    def of_part(self, entries: Sequence[float]) -> dict[str, float]:
        """Return the mean share of right labels, and the share of utterances with all right."""
        return {
            "labels": sum(entries) / len(entries),
            "verbatim": sum(share == 1 for share in entries) / len(entries),
        }


def second_half(task: Task, batch: Batch) -> Float[Tensor, " B"]:
    """Return the share of each transcript's second half that greedy search would begin with."""
    predicted = task.logits(batch).argmax(-1)
    # Without the end of the text, which is no part of what was said.
    labels = (batch.target_lengths - 1)[:, None]
    places = torch.arange(predicted.shape[1], device=predicted.device)
    second = (places >= labels // 2) & (places < labels)
    # Behind the first wrong label it would go on from other words.
    right = ((predicted == batch.targets) | ~second).cumprod(1).bool() & second
    return right.sum(1) / second.sum(1)


def near_silence(utterance: Utterance) -> Float[np.ndarray, " samples"]:
    """Return faint noise as long as the utterance, the same for the same id."""
    samples = round(utterance.seconds * SAMPLE_RATE)
    noise = white_noise(f"{utterance.id} silence", samples)
    faint: Float[np.ndarray, " samples"] = noise * np.float32(AMPLITUDE)
    return faint


class ExtractionMeasure(Measure):
    """The figures of `Extraction` for every model."""

    name: ClassVar[str] = "extraction"

    def check(self, given: Evaluated) -> None:
        if given.models[0].kind() != "seq2seq":
            raise InputError(
                "extraction gives a decoder the beginning of a transcript; these models have none"
            )

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        jobs = [Extraction(model, given.corpus, given.device) for model in given.models]
        return given.figures(jobs, self.name)

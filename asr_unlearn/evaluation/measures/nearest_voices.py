"""Damage to those who sound alike: error rates of the retained speakers nearest to the forgotten.

Nearness is the cosine of mean embeddings by a speaker classifier, such as an ECAPA-TDNN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.evaluation.compared_models import forgets_classes
from asr_unlearn.evaluation.error_rates import rates
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row, embeddings
from asr_unlearn.models.hub import model_folder
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.runtime.errors import InputError

# Of each speaker, the first by id.
UTTERANCES = 10


@dataclass(frozen=True)
class NearestVoices:
    """The retained speakers whose voices are nearest to the forgotten: as many as these are.

    Attributes:
        speakers: their names.
    """

    speakers: frozenset[str]

    @classmethod
    def by(cls, name: str, corpus: Corpus, device: torch.device) -> "NearestVoices":
        """Return those that a speaker classifier finds; its embeddings are kept in the cache.

        Args:
            name: folder or Hub name of the classifier.
        """
        folder = model_folder(name)
        cache = None if corpus.cache is None else corpus.cache / "voices"
        model = SavedModel(folder.name, 0, folder, cache=cache)
        forget, retain = _forget_and_retain(corpus)
        wanted = [u for each in (forget, retain) for own in each.values() for u in own]
        vectors = embeddings(model, wanted, device=device)
        by_id = {u.id: vector for u, vector in zip(wanted, vectors, strict=True)}
        centre = {
            speaker: _direction(np.stack([by_id[u.id] for u in own]))
            for each in (forget, retain)
            for speaker, own in each.items()
        }
        near = {s: max(float(centre[s] @ centre[f]) for f in forget) for s in retain}
        order = sorted(near, key=lambda speaker: (-near[speaker], speaker))
        return cls(frozenset(order[: len(forget)]))

    def figures(self, rows: Sequence[Row]) -> dict[str, float]:
        """Return the rates of the nearest speakers and of the other retained ones.

        Returns:
            "speakers", how many are nearest; "nearest_wer" and "other_wer", or the same of
            "accuracy" for a classifier.
        """
        retain = [row for row in rows if row["part"] == "retain"]
        found: dict[str, float] = {"speakers": len(self.speakers)}
        for group, inside in (("nearest", True), ("other", False)):
            chosen = [row for row in retain if (row["speaker"] in self.speakers) == inside]
            if chosen:
                # The first is the rate that the report leads with.
                name, (value, _) = next(iter(rates(chosen).items()))
                found[f"{group}_{name}"] = value
        return found


class NearestVoicesMeasure(Measure):
    """The figures of `NearestVoices` for every model."""

    name: ClassVar[str] = "nearest_voices"
    takes: ClassVar[str] = "a speaker classifier's folder or its name on the Hub"

    def check(self, given: Evaluated) -> None:
        if given.corpus.split.forget_labels or forgets_classes(given.models, given.corpus):
            raise InputError(
                "nearest_voices is for speakers; this request forgets labels or whole classes"
            )
        if SavedModel.at(model_folder(self.argument)).kind() != "classification":
            raise InputError(
                f"nearest_voices={self.argument}: not a classifier of speakers, which embeds voices"
            )
        forget, retain = _forget_and_retain(given.corpus)
        if len(retain) < 2 * len(forget):
            raise InputError(
                f"nearest_voices: the {len(forget)} retained speakers nearest to the forgotten are "
                f"compared with others, but only {len(retain)} are retained"
            )

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        voices = NearestVoices.by(self.argument, given.corpus, given.device)
        return {
            model.key: {self.name: voices.figures(given.rows[model.key])} for model in given.models
        }


def _forget_and_retain(corpus: Corpus) -> list[Mapping[str, list[Utterance]]]:
    """A few utterances of each speaker to be forgotten, and of each one retained."""
    return [_few(corpus.part(part)) for part in ("forget", "retain")]


def _few(utterances: Sequence[Utterance]) -> Mapping[str, list[Utterance]]:
    """The first utterances of each speaker."""
    found: dict[str, list[Utterance]] = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        own = found.setdefault(utterance.speaker, [])
        if len(own) < UTTERANCES:
            own.append(utterance)
    return found


def _direction(vectors: Float[np.ndarray, "n C"]) -> Float[np.ndarray, " C"]:
    """The mean of unit vectors, as a unit vector."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = units.mean(axis=0)
    unit: Float[np.ndarray, " C"] = mean / np.linalg.norm(mean)
    return unit

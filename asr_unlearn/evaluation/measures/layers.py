"""Layer by layer: where an encoder still tells who speaks, and how far its states have moved.

A method may change the last layers alone, and leave what the others represent. A linear probe of
each layer names the speakers. The first principal component of a layer's states on the forget set
is compared with the retrained model's (Xu et al., arXiv 2505.16831).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.evaluation.cached_job import ModelJob
from asr_unlearn.evaluation.layer_states import layer_states, mean_frame
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.results import RETRAINED
from asr_unlearn.evaluation.speaker_probe import probed_utterances
from asr_unlearn.metrics.principal import principal_change
from asr_unlearn.metrics.speaker_probe import probe
from asr_unlearn.models.saved_model import Key
from asr_unlearn.runtime.io import atomic_write

logger = logging.getLogger(__name__)

# Of layers.npz.
VERSION = 1

States = Sequence[Float[np.ndarray, "N C"]]
"""Of each layer, the mean state of each utterance."""


@dataclass(frozen=True)
class LayerStates(ModelJob):
    """The states of one model's layers, averaged over each utterance.

    The result is layers.npz among the model's predictions; without arrays for an encoder whose
    layers give no states of single frames.
    """

    file: ClassVar[str] = "layers.npz"

    @property
    def utterances(self) -> list[Utterance]:
        """Those of the probe; the forget utterances come first."""
        return probed_utterances(self.corpus)

    def made_from(self) -> Any:
        return [VERSION, self.model.files(), content(self.utterances)]

    def make(self) -> None:
        task, described = self.model.task(self.device), f"{self.model.name}, each layer"
        layers = layer_states(task, self.utterances, described, reduced=mean_frame) or []
        with atomic_write(self.path) as partial, partial.open("wb") as file:
            np.savez(file, *(states.numpy() for states in layers))

    def found(self) -> States:
        """Return the states of each layer, the first one first."""
        with np.load(self.path) as stored:
            return [stored[f"arr_{i}"] for i in range(len(stored.files))]


class LayersMeasure(Measure):
    """The figures of `probes` for every model, and of `changes` for all but the retrained one."""

    name: ClassVar[str] = "layers"

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        jobs = [LayerStates(model, given.corpus, given.device) for model in given.models]
        given.run(jobs, self.name)
        utterances = probed_utterances(given.corpus)
        speakers = [u.speaker for u in utterances]
        forget = len(given.corpus.part("forget"))
        states = {job.model.key: job.found() for job in jobs}
        found: dict[Key, Entry] = {}
        for key, own in states.items():
            figures = probes(own, speakers, given.corpus.split.forget_speakers)
            if key[0] != RETRAINED and (expected := states.get((RETRAINED, key[1]))):
                figures |= changes([s[:forget] for s in own], [s[:forget] for s in expected])
            if not own:
                logger.warning("%s: its encoder has no layers of frames to compare", key[0])
            found[key] = {self.name: figures} if figures else {}
        return found


def probes(
    layers: States, speakers: Sequence[str], forget: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return how often a linear probe of each layer names the speaker of an utterance.

    Returns:
        "probe_forget" and "probe_retain", each by layer, "1" the first; empty where no speakers are
        forgotten, or these have too few utterances.
    """
    found = {str(n): probe(states, speakers, forget) for n, states in enumerate(layers, start=1)}
    known = {layer: own for layer, own in found.items() if own is not None}
    if not known:
        return {}
    return {
        "probe_forget": {layer: own.forget for layer, own in known.items()},
        "probe_retain": {layer: own.retain for layer, own in known.items()},
    }


def changes(layers: States, reference: States) -> dict[str, dict[str, float]]:
    """Return how the first principal component of each layer differs from the reference's.

    Returns:
        "principal_cosine" and "principal_shift", see `PrincipalChange`, each by layer; empty where
        the two models have other numbers of layers.
    """
    if len(layers) != len(reference):
        return {}
    pairs = enumerate(zip(layers, reference, strict=True), start=1)
    found = {str(n): principal_change(*pair) for n, pair in pairs}
    known = {layer: own for layer, own in found.items() if own is not None}
    if not known:
        return {}
    return {
        "principal_cosine": {layer: own.cosine for layer, own in known.items()},
        "principal_shift": {layer: own.shift for layer, own in known.items()},
    }

"""How alike the layers of a model's encoder are to those of the retrained model.

A method may change the last layers alone and leave in the others what they were trained on (Xu et
al., arXiv 2505.16831, compare layers of unlearned models by CKA).
"""

import json
import logging

import numpy as np
import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.evaluation.layer_states import FRAMES, Layers, layer_states
from asr_unlearn.metrics.cka import linear_cka
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.runtime.cache import cached

logger = logging.getLogger(__name__)

PARTS = ("forget", "test")
# At most so many of each part.
UTTERANCES = 64
# Increase when the content of cka.json changes.
VERSION = 2


class LayerSimilarity:
    """CKA by layer between models and a reference, whose states are computed once."""

    def __init__(self, corpus: Corpus, device: torch.device) -> None:
        # Of each part equally many: CKA is the higher, the fewer there are.
        count = min([UTTERANCES, *filter(None, (len(corpus.part(part)) for part in PARTS))])
        self._parts = {
            part: chosen for part in PARTS if (chosen := compared_utterances(corpus, part, count))
        }
        self._device = device
        self._reference: tuple[Key, dict[str, Layers] | None] | None = None

    def of(self, reference: SavedModel, saved: SavedModel) -> dict[str, dict[str, float]]:
        """Return the CKA of each layer, "1" for the first, by part; cached in cka.json.

        Empty, with a warning, where the layers of the two encoders cannot be compared: a model
        has none over frames, or the two have different numbers of them.
        """
        utterances = {part: content(chosen) for part, chosen in self._parts.items()}
        made_from = [[VERSION, UTTERANCES, FRAMES], reference.files(), saved.files(), utterances]
        entry = cached(saved.predictions / "cka.json", made_from)
        if not entry.is_current:
            found = self._compared(reference, saved)
            with entry.write() as temporary:
                temporary.write_text(json.dumps(found))
        by_part: dict[str, dict[str, float]] = json.loads(entry.path.read_text())
        if not by_part:
            logger.warning(
                "%s: the layers of its encoder cannot be compared with those of %s: no CKA",
                saved.folder,
                reference.folder,
            )
        return by_part

    def _compared(self, reference: SavedModel, saved: SavedModel) -> dict[str, dict[str, float]]:
        if self._reference is None or self._reference[0] != reference.key:
            self._reference = reference.key, self._states(reference)
        expected, own = self._reference[1], self._states(saved)
        if expected is None or own is None:
            return {}
        return {
            part: layers
            for part in self._parts
            if (layers := similarity(own[part], expected[part]))
        }

    def _states(self, saved: SavedModel) -> dict[str, Layers] | None:
        task = saved.task(self._device)
        found = {}
        for part, utterances in self._parts.items():
            layers = layer_states(task, utterances, f"{saved.name}, layers")
            if layers is None:
                return None
            found[part] = layers
        return found


def similarity(layers: Layers, reference: Layers) -> dict[str, float]:
    """Return the CKA of each layer with the same layer of the reference, "1" for the first.

    A layer whose states are all the same is absent. Empty where the numbers of layers differ.
    """
    if len(layers) != len(reference):
        return {}
    each = (linear_cka(*pair) for pair in zip(layers, reference, strict=True))
    return {str(n): cka for n, cka in enumerate(each, start=1) if cka is not None}


def compared_utterances(corpus: Corpus, part: str, count: int) -> list[Utterance]:
    """Return up to `count` utterances of a part, drawn by the split's seed."""
    utterances = corpus.part(part)
    order = np.random.default_rng([corpus.split.seed, 5]).permutation(len(utterances))
    return [utterances[i] for i in order[:count]]

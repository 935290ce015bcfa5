"""How alike the layers of a model's encoder are to those of the retrained model.

A method may change the last layers alone and leave in the others what they were trained on (Xu et
al., arXiv 2505.16831, compare layers of unlearned models by CKA).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from asr_unlearn.data.batching import collate
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.metrics.cka import linear_cka
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.ecapa_features import FbankFrontEnd
from asr_unlearn.models.saved_model import Key, SavedModel
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.cache import cached
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.progress import Bar

logger = logging.getLogger(__name__)

PARTS = ("forget", "test")
# Of each part at most so many utterances, and of each utterance so many frames.
UTTERANCES, FRAMES = 64, 16
# Of cka.json.
VERSION = 1

# Of each layer, the states of FRAMES frames of each utterance.
Layers = list[Float[Tensor, "frames C"]]


class LayerSimilarity:
    """CKA by layer between models and a reference, whose states are computed once.

    Frames of padding are left out: each utterance is encoded alone, and what a Whisper adds to fill
    its window is not compared.
    """

    def __init__(self, corpus: Corpus, device: torch.device) -> None:
        self._parts = {
            part: chosen for part in PARTS if (chosen := compared_utterances(corpus, part))
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


def compared_utterances(corpus: Corpus, part: str) -> list[Utterance]:
    """Return up to 64 utterances of a part, drawn by the split's seed."""
    utterances = corpus.part(part)
    order = np.random.default_rng([corpus.split.seed, 5]).permutation(len(utterances))
    return [utterances[i] for i in order[:UTTERANCES]]


def layer_states(
    task: Task, utterances: Sequence[Utterance], description: str | None = None
) -> Layers | None:
    """Return the states that each layer of the encoder gives, [16 frames an utterance, channels].

    The frames are those at sixteen equal distances of each utterance, so that models of other frame
    rates can be compared; of an utterance of fewer frames, some are taken more than once. Layers
    are those of `task.layers()` that run when the encoder alone does; the head is not one.

    Returns:
        None for a model whose layers cannot be found, or give no states of single frames.
    """
    try:
        layers = task.layers()[:-1]
    except InputError:
        return None
    if isinstance(task.front_end, FbankFrontEnd):
        # Its blocks are convolutions over an utterance that is extended at both ends.
        return None
    given: dict[int, list[Tensor]] = {}
    hooks = [
        layer.register_forward_hook(partial(_keep, given, i)) for i, layer in enumerate(layers)
    ]
    try:
        return _states(task, utterances, given, description)
    finally:
        for hook in hooks:
            hook.remove()


def _keep(given: dict[int, list[Tensor]], layer: int, _: Any, __: Any, output: Any) -> None:
    states = output[0] if isinstance(output, tuple) else output
    given.setdefault(layer, []).append(states)


def _states(
    task: Task,
    utterances: Sequence[Utterance],
    given: dict[int, list[Tensor]],
    description: str | None,
) -> Layers | None:
    """The chosen frames of each layer; `given` is filled by the hooks when the encoder runs."""
    inputs = Inputs(task, targets=False)
    found: dict[int, Layers] = {}
    bar = Bar(utterances, desc=description, unit="utt", disable=description is None, delay=2)
    with torch.inference_mode():
        for utterance in bar:
            given.clear()
            _, true = task.states(collate([inputs(utterance)]).to(task.device))
            for layer, outputs in given.items():
                frames = _frames(outputs, true)
                if frames is None:
                    return None
                found.setdefault(layer, []).append(frames)
    return _joined(found, len(utterances))


def _frames(outputs: Sequence[Any], true: Bool[Tensor, "1 T"]) -> Float[Tensor, "frames C"] | None:
    """Frames of one utterance by one layer; None if the output is no sequence of states."""
    states = outputs[0]
    if len(outputs) > 1 or not isinstance(states, Tensor) or states.dim() != 3 or len(states) > 1:
        return None
    own = states[0]
    if len(own) == true.shape[1]:
        own = own[true[0]]
    elif not true.all():
        return None  # another frame rate, and nothing says where the utterance ends
    middles = (torch.arange(FRAMES) + 0.5) / FRAMES * len(own)
    return own[middles.long().to(own.device)].float().cpu()


def _joined(found: Mapping[int, Layers], utterances: int) -> Layers | None:
    """All frames of each layer; None if a layer did not run for each, or its channels vary."""
    for frames in found.values():
        if len(frames) != utterances or len({each.shape[1] for each in frames}) > 1:
            return None
    return [torch.cat(found[layer]) for layer in sorted(found)] or None

"""The states that the layers of an encoder give for utterances."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.ecapa_features import FbankFrontEnd
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.progress import Bar

# Frames that are kept of each utterance, by `spaced_frames`.
FRAMES = 16

# For each layer the kept frames of all utterances, one utterance after the other.
Layers = list[Float[Tensor, "frames C"]]


def spaced_frames(states: Float[Tensor, "T C"]) -> Float[Tensor, "16 C"]:
    """Return the frames at sixteen equal distances.

    Models of other frame rates can be compared by these. Of fewer frames some are taken more than
    once.
    """
    middles = (torch.arange(FRAMES) + 0.5) / FRAMES * len(states)
    return states[middles.long().to(states.device)]


def mean_frame(states: Float[Tensor, "T C"]) -> Float[Tensor, "1 C"]:
    """Return the mean over all frames."""
    return states.float().mean(0, keepdim=True)


def layer_states(
    task: Task,
    utterances: Sequence[Utterance],
    description: str | None = None,
    *,
    reduced: Callable[[Float[Tensor, "T C"]], Float[Tensor, "n C"]] = spaced_frames,
) -> Layers | None:
    """Return the states that each layer of the encoder gives for the utterances, in float32.

    Frames of padding are left out: each utterance is encoded alone, and what a Whisper adds to fill
    its window is not among them. Layers are those of `task.layers()` that run when the encoder
    alone does; the head is not one.

    Args:
        reduced: makes the few frames that are kept of those of an utterance.

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
        return _states(task, utterances, given, description, reduced)
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
    reduced: Callable[[Tensor], Tensor],
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
                states = _own_states(outputs, true)
                if states is None:
                    return None
                found.setdefault(layer, []).append(reduced(states).float().cpu())
    return _joined(found, len(utterances))


def _own_states(
    outputs: Sequence[Any], true: Bool[Tensor, "1 T"]
) -> Float[Tensor, "frames C"] | None:
    """The states of one utterance by one layer; None if the output is no sequence of states."""
    states = outputs[0]
    if len(outputs) > 1 or not isinstance(states, Tensor) or states.dim() != 3 or len(states) > 1:
        return None
    own = states[0]
    if len(own) == true.shape[1]:
        return own[true[0]]
    # Another frame rate: nothing says where an utterance ends that is shorter than its input.
    return own if true.all() else None


def _joined(found: Mapping[int, Layers], utterances: int) -> Layers | None:
    """All frames of each layer; None if a layer did not run for each, or its channels vary."""
    for frames in found.values():
        if len(frames) != utterances or len({each.shape[1] for each in frames}) > 1:
            return None
    return [torch.cat(found[layer]) for layer in sorted(found)] or None

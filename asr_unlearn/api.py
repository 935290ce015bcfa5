"""Unlearning on objects in memory: what the command line does, for a notebook."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedModel

from asr_unlearn.audio import load_audio
from asr_unlearn.errors import InputError
from asr_unlearn.inputs import Inputs
from asr_unlearn.manifest import Utterance
from asr_unlearn.methods import Part
from asr_unlearn.normal_form import normal_name
from asr_unlearn.options import make_method
from asr_unlearn.tasks import task_for
from asr_unlearn.unlearning import Stop, make_forget


def unlearn(
    model: PreTrainedModel,
    processor: Any,
    *,
    forget: Sequence[Utterance],
    retain: Sequence[Utterance] = (),
    unseen: Sequence[Utterance] = (),
    method: str = "orthograd_tau",
    seed: int = 0,
    stop: Stop | None = None,
    freeze_front_end: bool = True,
    audio: Mapping[str, Float[np.ndarray, " samples"]] | None = None,
    **options: Any,
) -> PreTrainedModel:
    """Make a model forget utterances; `model` itself is changed and returned.

    Args:
        model: for instance a `Wav2Vec2ForCTC`, or any other that `task_for` takes.
        processor: its feature extractor and tokenizer.
        forget, retain: training utterances to forget, and others to stay good at.
        unseen: utterances of speakers the model has never met; needed by the stop rule
            "unseen" and by methods with a target. Without them give `stop=Stop(rule="steps")`
            and a method such as "orthograd".
        method: a name `asr-unlearn methods` lists, or `path/to/file.py:ClassName`.
        audio: utterance id to wave [samples], float32, 16 kHz mono; utterances that are missing
            here are read from their `audio` path.
        options: of the method, for instance `alpha=0.3`.

    Raises:
        ValueError: a part the method or the stop rule needs is empty, an id stands twice in the
            parts, an unknown option, a processor without one of its halves, or a wave of another
            form; or nothing was unlearned. The model's flags are then as they were.
    """
    chosen = make_method(method, options)
    given: dict[Part, Sequence[Utterance]] = {
        "forget": forget,
        "retain": retain,
        "unseen": unseen,
    }
    _check_ids(given)
    waves = {normal_name(name): wave for name, wave in (audio or {}).items()}

    def load(utterance: Utterance) -> Float[np.ndarray, " samples"]:
        known = waves.get(utterance.id)
        return load_audio(utterance.audio) if known is None else _checked(known, utterance.id)

    was_training = model.training
    trainable = {name: p.requires_grad for name, p in model.named_parameters()}
    task = task_for(model, processor)
    try:
        if freeze_front_end:
            task.freeze_front_end()
        with TemporaryDirectory() as folder:
            inputs = Inputs(task, load=load)
            make_forget(inputs, chosen, given, stop or Stop(), Path(folder), seed)
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(trainable[name])
        model.train(was_training)
    return model


def _checked(wave: Float[np.ndarray, "..."], name: str) -> Float[np.ndarray, " samples"]:
    """The wave as float32; raises ValueError for several channels, or for integers."""
    if wave.ndim != 1:
        raise InputError(f"audio of {name!r} has the shape {wave.shape}; give one channel, [n]")
    if not np.issubdtype(wave.dtype, np.floating):
        raise InputError(f"audio of {name!r} is {wave.dtype}; give float32 with full scale at ±1")
    return wave.astype(np.float32, copy=False)


def _check_ids(given: Mapping[Part, Sequence[Utterance]]) -> None:
    """Raises ValueError for an id that stands twice: an input, once made, is kept by its id."""
    parts: dict[str, Part] = {}
    for part, utterances in given.items():
        for utterance in utterances:
            if (other := parts.get(utterance.id)) is not None:
                where = f"twice in {part}" if other == part else f"in {other} and in {part}"
                raise InputError(f"utterance {utterance.id!r} is {where}; an id stands once")
            parts[utterance.id] = part

"""Unlearning on objects in memory: what the command line does, for a notebook."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedModel

from asr_unlearn.audio import load_audio
from asr_unlearn.inputs import Inputs
from asr_unlearn.jobs import Stop, stop_rule
from asr_unlearn.manifest import Utterance
from asr_unlearn.methods import Method, Part
from asr_unlearn.options import make_method
from asr_unlearn.tasks import CTC
from asr_unlearn.training import Training


def unlearn(
    model: PreTrainedModel,
    processor: Any,
    *,
    forget: Sequence[Utterance],
    retain: Sequence[Utterance] = (),
    unseen: Sequence[Utterance] = (),
    method: str = "orthograd",
    seed: int = 0,
    stop: Stop | None = None,
    freeze_front_end: bool = True,
    audio: Mapping[str, Float[np.ndarray, " samples"]] | None = None,
    **options: Any,
) -> PreTrainedModel:
    """Make a CTC recogniser forget utterances; `model` itself is changed and returned.

    Args:
        model: for instance a `Wav2Vec2ForCTC`.
        processor: its feature extractor and tokenizer.
        forget, retain: training utterances to forget, and others to stay good at.
        unseen: utterances of speakers the model has never met; needed by the stop rule
            "unseen". Without them give `stop=Stop(rule="steps")`.
        method: a name `asr-unlearn methods` lists, or `path/to/file.py:ClassName`.
        audio: utterance id to wave [samples], float32, 16 kHz mono; utterances that are missing
            here are read from their `audio` path.
        options: of the method, for instance `alpha=0.3`.

    Raises:
        ValueError: a part the method or the stop rule needs is empty, or an unknown option.
    """
    chosen = make_method(method, options)
    stop = stop or Stop()
    given: dict[Part, Sequence[Utterance]] = {"forget": forget, "retain": retain}
    _check_parts(chosen, stop, given, unseen)
    waves = audio or {}

    def load(utterance: Utterance) -> Float[np.ndarray, " samples"]:
        known = waves.get(utterance.id)
        return load_audio(utterance.audio) if known is None else known

    was_training = model.training
    trainable = {name: p.requires_grad for name, p in model.named_parameters()}
    task = CTC(model, processor)
    if freeze_front_end:
        task.freeze_front_end()
    inputs = Inputs(task, load=load)
    with TemporaryDirectory() as folder:
        rule, _ = stop_rule(task, inputs, unseen, stop)
        Training(
            task,
            chosen,
            {part: given[part] for part in chosen.needs},
            inputs,
            Path(folder),
            seed=seed,
            stop=rule,
            watched=forget,
            description=chosen.name,
        )()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trainable[name])
    model.train(was_training)
    return model


def _check_parts(
    method: Method,
    stop: Stop,
    given: Mapping[Part, Sequence[Utterance]],
    unseen: Sequence[Utterance],
) -> None:
    """Raise ValueError where a part is empty that the method or the stop rule needs."""
    lacking = [part for part in {*method.needs, "forget"} if not given[part]]
    if lacking:
        raise ValueError(f"{method.name} needs utterances for: {', '.join(sorted(lacking))}")
    if stop.rule == "unseen" and not unseen:
        raise ValueError('give unseen=… for the stop rule, or stop=Stop(rule="steps")')

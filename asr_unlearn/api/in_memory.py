"""Unlearning of a model in memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from asr_unlearn.data.audio import check_samples, load_audio
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Part
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.registry import make_method
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.tasks import task_for
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.text import normal_name
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.unlearn import run_unlearning
from asr_unlearn.training.unlearning_data import UnlearningData

Wave = Float[np.ndarray, " samples"] | Float[Tensor, " samples"] | Sequence[float]


@dataclass(frozen=True)
class Unlearned:
    """A model that was unlearned in memory.

    Attributes:
        model: the model that was given, changed.
        steps: number of steps taken.
        kept_step: the step whose weights are kept; a fraction if they were interpolated back to
            the stop target between two steps.
        seconds: duration, measuring the target included.
        stopped: why it ended, and which step was kept.
        target: the stop target; None for the stop rule "steps".
        warning: that others are no longer recognised, by which figures; None if there is no sign
            of it.
    """

    model: PreTrainedModel
    steps: int
    kept_step: float
    seconds: float
    stopped: str
    target: MeanScore | None
    warning: str | None


def unlearn_in_memory(
    model: PreTrainedModel,
    processor: Any,
    *,
    forget: Sequence[Utterance],
    retain: Sequence[Utterance] = (),
    unseen: Sequence[Utterance] = (),
    method: Method | str,
    stop: Stop,
    seed: int = 0,
    freeze_front_end: bool = True,
    freeze_encoder: bool = False,
    compute: Compute = FULL,
    audio: Mapping[str, Wave] | None = None,
    **options: Any,
) -> Unlearned:
    """Make a model forget utterances; see `unlearn`, the form in memory.

    `model` itself is changed, and part of the result. After any exception its weights and flags
    are as they were.

    Raises:
        InputError: a part the method or the stop rule needs is empty, an id is in the parts twice,
            an unknown option, a processor without feature extractor or tokenizer, a model in half
            precision, or a wave of another form; or nothing was unlearned.
    """
    chosen = make_method(method, options) if isinstance(method, str) else method
    given: dict[Part, Sequence[Utterance]] = {
        "forget": forget,
        "retain": retain,
        "unseen": unseen,
    }
    _check_ids(given)
    _check_precision(model)
    waves = {normal_name(name): wave for name, wave in (audio or {}).items()}

    def load(utterance: Utterance) -> Float[np.ndarray, " samples"]:
        if utterance.id not in waves:
            return load_audio(utterance.audio)
        return _checked(waves[utterance.id], utterance.id)

    # What peft's model wraps has the adapters, which alone are trained.
    bare = getattr(model, "get_base_model", lambda: model)()
    with _flags_kept(model), _weights_kept_on_failure(model), TemporaryDirectory() as folder:
        task = task_for(bare, processor)
        task.compute = compute
        choose_spelling(task, retain or forget, load=load)
        if freeze_front_end:
            task.freeze_front_end()
        if freeze_encoder:
            task.freeze_encoder()
        set_window(task, "auto", [*forget, *retain, *unseen])
        inputs = Inputs(task, load=load)
        data = UnlearningData.of(task, given)
        outcome = run_unlearning(inputs, chosen, data, stop, Path(folder), seed)
    return Unlearned(
        model=model,
        steps=outcome.steps,
        kept_step=outcome.kept_step,
        seconds=outcome.seconds,
        stopped=outcome.stopped,
        target=outcome.target,
        warning=outcome.warning,
    )


@contextmanager
def _flags_kept(model: nn.Module) -> Iterator[None]:
    """Leave `requires_grad`, `.grad` and train or eval mode, of each module, as they were."""
    # wav2vec2's front end has a flag of its own, whether its input gets a gradient.
    names = ("training", "_requires_grad")
    modes = [(m, n, getattr(m, n)) for m in model.modules() for n in names if hasattr(m, n)]
    flags = [
        (parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()
    ]
    try:
        yield
    finally:
        for module, name, value in modes:
            setattr(module, name, value)
        for parameter, trainable, gradient in flags:
            parameter.requires_grad_(trainable)
            parameter.grad = gradient


@contextmanager
def _weights_kept_on_failure(model: nn.Module) -> Iterator[None]:
    """Put parameters and buffers back whatever is raised, an interruption too."""
    tensors = [*model.parameters(), *model.buffers()]
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        raise


def _check_precision(model: nn.Module) -> None:
    """Raises InputError for a model in half precision, where small steps are lost in rounding."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and torch.finfo(parameter.dtype).bits < 32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise InputError(
                f"the model's {name} is {kind}, in which steps as small as those of unlearning are "
                "lost: load it with dtype=torch.float32, or call model.float() first"
            )


def _checked(wave: Any, name: str) -> Float[np.ndarray, " samples"]:
    """The wave as a float32 array.

    Raises:
        InputError: naming the utterance: several channels, integers, values that are not finite,
            or no numbers at all.
    """
    if isinstance(wave, Tensor):
        wave = wave.detach().cpu()
        wave = wave.float() if wave.is_floating_point() else wave
    try:
        array = np.asarray(wave)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"audio of {name!r} is no wave: {error}") from error
    if array.dtype.kind not in "fiu":
        raise InputError(
            f"audio of {name!r} is a {type(wave).__name__}; give an array, a tensor or a list of "
            "floats, [n]"
        )
    if array.ndim != 1:
        raise InputError(f"audio of {name!r} has the shape {array.shape}; give one channel, [n]")
    if array.dtype.kind != "f":
        raise InputError(f"audio of {name!r} is {array.dtype}; give float32 with full scale at ±1")
    if not np.isfinite(array).all():
        raise InputError(f"audio of {name!r} has values that are not finite; record or cut it anew")
    check_samples(array, f"audio of {name!r}")
    return array.astype(np.float32, copy=False)


def _check_ids(given: Mapping[Part, Sequence[Utterance]]) -> None:
    """Raises InputError for an id that is empty or stands twice: inputs are kept by their ids."""
    parts: dict[str, Part] = {}
    for part, utterances in given.items():
        for utterance in utterances:
            if not utterance.id:
                raise InputError(f"an utterance of {part} has an empty id ({utterance.audio})")
            if (other := parts.get(utterance.id)) is not None:
                where = f"twice in {part}" if other == part else f"in {other} and in {part}"
                raise InputError(f"utterance {utterance.id!r} is {where}; an id stands once")
            parts[utterance.id] = part

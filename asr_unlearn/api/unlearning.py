"""Make a model forget: a folder, as the command does, or an object in memory."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from transformers import PreTrainedModel

from asr_unlearn.api.arguments import Seed
from asr_unlearn.api.in_memory import Unlearned, Wave, unlearn_in_memory
from asr_unlearn.api.inputs import read_corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.registry import make_method, users_method
from asr_unlearn.models.adapters import NO_LORA, Lora
from asr_unlearn.models.hub import check_push, push
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.transcript_spelling import SpellingChoice
from asr_unlearn.models.tasks.window import Window
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.device import Device, pick_device
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.outputs import check_model_folder
from asr_unlearn.runtime.tracking import TrackerName, check_tracker, tracking
from asr_unlearn.training.outcome import Outcome
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.trained_weights import TrainedWeights
from asr_unlearn.training.unlearn import unlearn_model
from asr_unlearn.training.unlearn_setup import UnlearnSetup

logger = logging.getLogger(__name__)

DEFAULT_METHOD = "orthograd_tau"


@dataclass(frozen=True)
class PublishedModel:
    """An unlearned model in a folder.

    Attributes:
        folder: where `from_pretrained` loads it from.
        outcome: steps, seconds, why it ended, the stop target, and a warning if others are no
            longer recognised.
    """

    folder: Path
    outcome: Outcome

    def __str__(self) -> str:
        done = self.outcome
        return f"{self.folder}: {done.steps} steps, {done.seconds:.0f} s, {done.stopped}"


def unlearn_folder(
    manifest: Path | str,
    split: Path | str,
    model: Path | str,
    out: Path | str,
    *,
    method: Method | str = DEFAULT_METHOD,
    stop: Stop = Stop(),  # noqa: B008
    seed: Seed = 0,
    device: Device = "auto",
    freeze_front_end: bool = True,
    freeze_encoder: bool = False,
    window: Window = "auto",
    spelling: SpellingChoice = "auto",
    lora: Lora = NO_LORA,
    merge: bool = True,
    compute: Compute = FULL,
    protect_earlier: bool = True,
    track: TrackerName | None = None,
    push_to_hub: str | None = None,
    **options: Any,
) -> PublishedModel:
    """Make a model forget the speakers of the split's forget part.

    Args:
        manifest: manifest.jsonl of the corpus.
        split: split.json of that manifest.
        model: folder of the model that was trained on them.
        out: folder to publish the result at; what is there already is kept as out.old-N.
        method: a name from `asr-unlearn methods`, or path/to/file.py:ClassName.
        stop: rule and target of early stopping.
        seed: seed of the order of the batches, and of new adapters.
        device: auto, cpu or cuda.
        freeze_front_end: leave the convolutional front end as it is.
        freeze_encoder: of a Whisper, change the decoder alone; each utterance is encoded once.
        window: window of a Whisper's encoder: auto for the longest utterance rounded up to whole
            seconds; full for the model's own; or seconds.
        spelling: spelling of a Whisper's transcripts: as_given, lower or upper; auto is what the
            model itself writes, by its loss on a few utterances, unless that has been recorded.
        lora: change the model by new low-rank adapters alone. Adapters that a model has are changed
            alone without this.
        merge: publish a whole model; False publishes the adapters alone.
        compute: precision of the passes through the model, and most audio in one.
        protect_earlier: if the model was unlearned itself, change it orthogonally to how it changed
            then, so that those who were forgotten stay so; needs the model before that.
        track: send what is logged to an experiment tracker too: tensorboard (to OUT.tensorboard),
            trackio, wandb or mlflow.
        push_to_hub: send the model and its card to this repository of the Hub too, which is made
            private if it is new.
    """
    out = Path(out)
    users = users_method(method) if isinstance(method, str) else None
    read = (manifest, split, model, stop.reference_model, users and users[0])
    check_model_folder(out, *(Path(path) for path in read if path))
    check_tracker(track)
    check_push(push_to_hub)
    chosen = make_method(method, options) if isinstance(method, str) else method
    corpus = read_corpus(manifest, split, out)
    original = SavedModel.at(Path(model))
    if why := original.nothing_to_forget(corpus.split):
        raise InputError(f"--model {model}: {why}")
    if original.unlearned_for(corpus.split):
        logger.warning("%s was unlearned for this request already, and is once more", model)
    computing_on = distributed.join(pick_device(device))
    with tracking(track, out):
        outcome = unlearn_model(
            corpus,
            Path(model),
            chosen,
            out,
            seed=seed,
            device=computing_on,
            stop=stop,
            setup=UnlearnSetup(
                trained=TrainedWeights(
                    front_end=not freeze_front_end, encoder=not freeze_encoder, lora=lora
                ),
                compute=compute,
                merge=merge,
                window=window,
                spelling=spelling,
                protect_earlier=protect_earlier,
            ),
        )
    push(out, push_to_hub)
    return PublishedModel(out, outcome)


@overload
def unlearn(
    model: Path | str,
    *,
    manifest: Path | str,
    split: Path | str,
    out: Path | str,
    method: Method | str = ...,
    stop: Stop | None = ...,
    seed: int = ...,
    device: Device = ...,
    freeze_front_end: bool = ...,
    freeze_encoder: bool = ...,
    window: Window = ...,
    spelling: SpellingChoice = ...,
    lora: Lora = ...,
    merge: bool = ...,
    compute: Compute = ...,
    protect_earlier: bool = ...,
    track: TrackerName | None = ...,
    push_to_hub: str | None = ...,
    **options: Any,
) -> PublishedModel: ...


@overload
def unlearn(
    model: PreTrainedModel,
    processor: Any,
    *,
    forget: Sequence[Utterance],
    retain: Sequence[Utterance] = ...,
    unseen: Sequence[Utterance] = ...,
    method: Method | str = ...,
    stop: Stop | None = ...,
    seed: int = ...,
    freeze_front_end: bool = ...,
    freeze_encoder: bool = ...,
    compute: Compute = ...,
    audio: Mapping[str, Wave] | None = ...,
    **options: Any,
) -> Unlearned: ...


def unlearn(
    model: PreTrainedModel | Path | str,
    processor: Any = None,
    *,
    method: Method | str = DEFAULT_METHOD,
    stop: Stop | None = None,
    **given: Any,
) -> PublishedModel | Unlearned:
    """Make a model forget speakers.

    Two forms. A model's folder, with the files of a corpus, as `asr-unlearn unlearn` takes them:
    the unlearned model is published at `out`. Or a model in memory with its processor and lists of
    utterances: the model itself is changed.

    Args:
        model: folder of the model, or the model, in float32; of a `peft.PeftModel` the adapters are
            changed.
        processor: in memory: its feature extractor and tokenizer.
        manifest, split, out: of a folder: manifest.jsonl, split.json, and the folder to publish.
        forget, retain: in memory: training utterances to forget, and others to keep.
        unseen: in memory: utterances of speakers that the model was not trained on; needed by the
            stop rule "unseen" and by methods with a target. Without them give
            `stop=Stop(rule="steps")` and a method such as "orthograd".
        audio: in memory: utterance id to wave [samples], 16 kHz mono with full scale at ±1, as an
            array, a tensor or a list; others are read from their `audio` path.
        method: a name from `METHODS`, `path/to/file.py:ClassName`, or a `Method`.
        stop: when to end.
        seed: of the order of the batches.
        device, window, spelling: of a folder: as for `train`.
        freeze_front_end: leave the convolutional front end as it is.
        freeze_encoder: of a Whisper, change the decoder alone; each utterance is encoded once.
        lora: of a folder: change the model by new low-rank adapters alone.
        merge: of a folder: publish a whole model; False publishes the adapters alone.
        compute: precision of the passes through the model, and most audio in one.
        protect_earlier: of a folder: if it was unlearned itself, change it orthogonally to how it
            changed then.
        track: of a folder: experiment tracker that gets what is logged too.
        push_to_hub: of a folder: repository of the Hub to send the model and its card to.
        options: of the method, for instance `alpha=0.3`.

    Returns:
        `PublishedModel` of a folder, `Unlearned` in memory.

    Raises:
        InputError: something that cannot be used, by name; or nothing was unlearned. In memory the
            model's weights are then as before.
        DivergedError: a loss or gradient is not finite.

    Examples:
        >>> from asr_unlearn import Stop, unlearn
        >>> forgotten = unlearn("out/original", manifest="manifest.jsonl", split="split.json",
        ...                     out="out/orthograd", method="orthograd", alpha=0.3, epochs=1,
        ...                     stop=Stop(rule="steps"))
        >>> forgotten.folder, forgotten.outcome.steps
        (PosixPath('out/orthograd'), 1)
    """
    rule = stop or Stop()
    if isinstance(model, Path | str):
        return unlearn_folder(model=model, method=method, stop=rule, **given)
    return unlearn_in_memory(model, processor, method=method, stop=rule, **given)

"""Fine-tuning, retraining and training from scratch: to a published model folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from accelerate.utils import set_seed

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.augmentation import Crop, PolarityAndShift, Speeds
from asr_unlearn.data.batching import Change
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS, Part
from asr_unlearn.methods import Method
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.registry import make_method
from asr_unlearn.models.adapters import add_adapters, base_to_publish_on
from asr_unlearn.models.config import is_bare_config, read_config, task_of
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.waveform import ConvFrontEnd
from asr_unlearn.models.gabor_init import start_from_filterbank
from asr_unlearn.models.loading import (
    model_from_config,
    output_layers,
    pretrained_model,
    vocabulary_of,
)
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.targets import check_parts
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.compute import checkpoint_activations
from asr_unlearn.models.tasks.from_scratch import Seq2SeqFromScratch
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import Window, set_window
from asr_unlearn.models.whisper import shorten_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.outcome import Outcome
from asr_unlearn.training.run_folder import RunFolder
from asr_unlearn.training.setup import Setup, crop_error
from asr_unlearn.training.sharded_task import sharded_task
from asr_unlearn.training.trainer import Training

# Enough audio to set the filter bank's output variance.
CALIBRATION_UTTERANCES = 40


@dataclass(kw_only=True)
class Train(Finetune):
    """Fine-tuning on all utterances that a model is trained on, whatever parts they are from."""

    needs: ClassVar[tuple[Part, ...]] = ("train",)
    epoch_part: ClassVar[Part] = "train"


def train_model(
    corpus: Corpus,
    source: str,
    method: Method,
    out: Path,
    *,
    parts: Sequence[str],
    seed: int,
    device: torch.device,
    setup: Setup,
    merge: bool = True,
) -> Outcome:
    """Train the model at `source` on the utterances of `parts` and publish it at `out`.

    The starting weights do not depend on `parts`: a retrained model starts where the original did.

    Args:
        corpus: manifest and split.
        source: name or folder of a model, or a config to train from scratch.
        method: the options of "finetune".
        out: folder of the trained model.
        parts: of the split, to train on.
        seed: of random weights, batches and augmentation.
        device: to train on.
        setup: the rest.
        merge: publish a whole model; False publishes the adapters that were trained alone.

    Raises:
        InputError: aids for a model that is no Whisper or not trained from scratch, or utterances
            without a target.
    """
    scratch = is_bare_config(source)
    kind = setup.task or task_of(read_config(source))
    task = _task_to_train(corpus, source, kind, seed, device, setup)
    task.compute = setup.compute
    if setup.gradient_checkpointing:
        checkpoint_activations(task.model)
    base = None if merge else base_to_publish_on(task.model, source)
    if base is not None:
        _check_output_layer(task, base)
    window = set_window(task, _window_of(setup, kind), corpus.part(*PARTS))
    if kind == "classification":
        window = setup.window if isinstance(setup.window, int | float) else None
    changes = _changes(task, setup)
    check_parts(task, corpus, parts, fastest=max(setup.speeds))
    if setup.filterbank and scratch:
        _start_from_filterbank(task, corpus)
    if setup.front_end_frozen if setup.front_end_frozen is not None else not scratch:
        task.freeze_front_end()
    _check_waves(task, setup)
    setup = replace(setup, task=kind, front_end_frozen=task.front_end_is_frozen, window=window)
    options = {**asdict(method), "model": source, "parts": list(parts), **setup.recorded()}

    data = corpus.content()
    with RunFolder(out, task, kind="train", seed=seed, options=options, data=data) as run:
        with sharded_task(task, method) as own:
            training = Training(
                own,
                Train(**asdict(method)),
                {"train": corpus.part(*parts)},
                Inputs(own, feature_cache=corpus.features),
                run.path,
                seed=seed,
                changes=changes,
                description=out.name,
            )
            outcome = training()
        run.publish(outcome, base=base, request=corpus.split.digest)
    return outcome


def _window_of(setup: Setup, kind: TaskName) -> Window:
    """The window to train with: a classifier's own, and where utterances get longer the whole."""
    lengthened = setup.aids.joined > 0 or min(setup.speeds) < 1
    if kind == "classification" or setup.window is None or (setup.window == "auto" and lengthened):
        return "full"
    return setup.window


def train_alike(
    run: Mapping[str, Any],
    corpus: Corpus,
    out: Path,
    *,
    parts: Sequence[str],
    seed: int,
    device: torch.device,
) -> Outcome:
    """Train on another corpus with the options in the run.json of a trained model."""
    options = run["options"]
    names = {f.name for f in fields(Finetune)}
    return train_model(
        corpus,
        options["model"],
        make_method("finetune", {k: v for k, v in options.items() if k in names}),
        out,
        parts=parts,
        seed=seed,
        device=device,
        setup=Setup.of(options),
    )


def _task_to_train(
    corpus: Corpus, source: str, kind: TaskName, seed: int, device: torch.device, setup: Setup
) -> Task:
    """The model at `source` before training, with its task."""
    scratch, aids = is_bare_config(source), setup.aids
    if aids and setup.compute.shard:
        raise InputError("--compute.shard: leave out auxiliary_ctc, token_noise and joined")
    if aids and not (scratch and kind == "seq2seq"):
        raise InputError(
            f"{source}: auxiliary_ctc, token_noise and joined are for a Whisper that starts from "
            "its config"
        )
    # A classifier has the classes of all training speakers, and none of the unseen ones'.
    known = corpus.part("retain", "forget") if kind == "classification" else corpus.manifest
    vocabulary = vocabulary_of(known, kind)
    set_seed(seed)
    if scratch:
        model, processor = model_from_config(source, vocabulary, seed, kind)
    else:
        model, processor = pretrained_model(source, vocabulary, kind)
    if kind == "classification" and isinstance(setup.window, int | float):
        shorten_window(model, getattr(processor, "feature_extractor", processor), setup.window)
    # First without aids: this refuses a language that the model does not have.
    task = task_for(model, processor, device, language=setup.language)
    # Random weights have no spelling; the vocabulary is that of the transcripts as given.
    made = scratch and kind == "seq2seq" and setup.spelling == "auto"
    choose_spelling(task, corpus.part("retain"), "as_given" if made else setup.spelling)
    if setup.lora:
        if scratch:
            raise InputError(f"{source}: --lora changes a trained model; this has random weights")
        torch.manual_seed(seed)
        add_adapters(model, setup.lora, output_layers(model, kind))
    return Seq2SeqFromScratch(model, processor, device, aids) if aids else task


def _check_output_layer(task: Task, base: str) -> None:
    """Raises InputError where adapters alone could not be loaded on their base."""
    own, theirs = (config.to_dict() for config in (task.model.config, read_config(base)))
    if any(own.get(name) != theirs.get(name) for name in ("vocab_size", "id2label")):
        raise InputError(
            f"--merge false: the output layer is new, and adapters alone cannot hold it on {base}; "
            "leave it out"
        )


def _changes(task: Task, setup: Setup) -> list[Change]:
    """The augmentation of utterances; raises InputError for impossible speeds or crops."""
    changes: list[Change] = []
    if setup.speeds != Setup.speeds:
        changes.append(Speeds(setup.speeds))
    if setup.crop_seconds:
        # After the change of speed, so that all crops have one length.
        long = setup.crop_seconds
        samples = round(long * SAMPLE_RATE)
        length = torch.tensor([samples])
        frames = int(task.front_end.frames(length))
        if samples < 1 or frames < task.front_end.fewest_frames:
            raise InputError(crop_error(long))
        changes.append(Crop(samples, int(task.front_end.input_frames(length))))
    if setup.augmented:
        changes.append(PolarityAndShift())
    return changes


def _check_waves(task: Task, setup: Setup) -> None:
    """Raises InputError where waves are to be changed, and the model is given features of them."""
    if not setup.augmented and setup.speeds == Setup.speeds:
        return
    if task.encode(np.zeros(SAMPLE_RATE, dtype=np.float32)).dim() == 1:
        return
    remedy = "leave them out"
    if setup.lora:
        remedy += ": with --lora the front end is frozen"
    elif isinstance(task.front_end, ConvFrontEnd):
        remedy += ", or give --freeze_front_end false"
    raise InputError(
        f"--augmented and --speeds change waves, and this model is given features; {remedy}"
    )


def _start_from_filterbank(task: Task, corpus: Corpus) -> None:
    """Initialise the first convolution, calibrated on the retain set for all models alike.

    Raises:
        InputError: the model has no convolution over the wave.
    """
    if not isinstance(task.front_end, ConvFrontEnd):
        raise InputError(
            f"filterbank: {type(task.model).__name__} has no convolution over the wave"
        )
    inputs = Inputs(task)
    waves = [inputs(u).input for u in corpus.part("retain")[:CALIBRATION_UTTERANCES]]
    start_from_filterbank(task.front_end.first_convolution, waves)

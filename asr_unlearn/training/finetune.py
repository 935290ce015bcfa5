"""Training and unlearning from a manifest to a published model folder, resumable at any point."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.augmentation import Crop, PolarityAndShift, Speeds
from asr_unlearn.data.batching import Change
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS
from asr_unlearn.methods import Method
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.registry import make_method
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.front_ends.waveform import ConvFrontEnd
from asr_unlearn.models.gabor_init import start_from_filterbank
from asr_unlearn.models.loading import (
    is_bare_config,
    model_from_config,
    pretrained_model,
    read_config,
    task_of,
    vocabulary_of,
)
from asr_unlearn.models.supported import TaskName
from asr_unlearn.models.targets import check_parts
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.from_scratch import Seq2SeqFromScratch, TrainingAids
from asr_unlearn.models.tasks.transcript_spelling import Asked, choose_spelling
from asr_unlearn.models.tasks.window import Window, set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.checkpoint import seed_everything
from asr_unlearn.training.run_folder import carry_out
from asr_unlearn.training.trainer import Outcome, Training

# Enough audio to set the filter bank's output variance.
CALIBRATION_UTTERANCES = 40
NO_AIDS = TrainingAids()


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a model is trained, apart from the options of the method.

    Attributes:
        task: what to train for, by default what the model was made for.
        language: of a multilingual recogniser (see `Seq2Seq`).
        spelling: of a Whisper's transcripts (see `choose_spelling`).
        filterbank: a first convolution of random weights starts as band-pass filters.
        augmented: random polarity and shift of the waves.
        speeds: at which the waves are heard, one of them drawn each time.
        crop_seconds: length of the random pieces to train on, 0 for whole utterances.
        front_end_frozen: by default unless it starts from random weights.
        aids: what helps a Whisper from scratch.
        window: of a Whisper's encoder while it is trained; what is saved has its own.
    """

    task: TaskName | None = None
    language: str | None = None
    spelling: Asked = "auto"
    filterbank: bool = False
    augmented: bool = False
    speeds: tuple[float, ...] = (1.0,)
    crop_seconds: float = 0.0
    front_end_frozen: bool | None = None
    aids: TrainingAids = NO_AIDS
    window: Window | None = "auto"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Setup":
        """What a model was trained with, from the options in its run.json."""
        given = {f.name: options[f.name] for f in fields(cls) if f.name in options}
        read = {
            "aids": TrainingAids(**given.get("aids", {})),
            "speeds": tuple(given.get("speeds", cls.speeds)),
            # A run without one was trained in the model's own.
            "window": given.get("window"),
        }
        return cls(**(given | read))

    def recorded(self) -> dict[str, Any]:
        """The same as options: aids, spelling and window only where there are any."""
        told = asdict(self)
        unused = {"aids": not self.aids, "spelling": self.spelling == "auto"}
        unused["window"] = self.window is None
        return {name: value for name, value in told.items() if not unused.get(name)}


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
) -> Outcome:
    """Train `source` on the utterances of `parts` and publish it at `out`.

    Two models trained with the same arguments but for `parts` start from the same weights.

    Raises:
        ValueError: aids for a model that is no Whisper or that has been trained before, or
            utterances that it cannot be asked.
    """
    scratch = is_bare_config(source)
    kind = setup.task or task_of(read_config(source))
    task = _task_to_train(corpus, source, kind, seed, device, setup)
    window = set_window(task, _window_of(setup), corpus.part(*PARTS))
    changes = _changes(task, setup)
    check_parts(task, corpus, parts, fastest=max(setup.speeds))
    if setup.filterbank and scratch:
        _start_from_filterbank(task, corpus)
    if setup.front_end_frozen if setup.front_end_frozen is not None else not scratch:
        task.freeze_front_end()
    setup = replace(setup, task=kind, front_end_frozen=task.front_end_is_frozen, window=window)
    options = {**asdict(method), "model": source, "parts": list(parts), **setup.recorded()}

    def run(folder: Path) -> Outcome:
        inputs = Inputs(task, feature_cache=corpus.features)
        training = Training(
            task,
            method,
            {"retain": corpus.part(*parts)},
            inputs,
            folder,
            seed=seed,
            changes=changes,
            description=out.name,
        )
        return training()

    return carry_out(
        "train", run, task, corpus.content(), out, options, seed, request=corpus.split.digest
    )


def _window_of(setup: Setup) -> Window:
    """The window asked for; utterances that are joined or slowed down need the model's own."""
    lengthened = setup.aids.joined > 0 or min(setup.speeds) < 1
    if setup.window is None or (setup.window == "auto" and lengthened):
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
    """Train as the model of a run.json of `asr-unlearn train` was trained, on another corpus."""
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
    """The model at `source`, as it is before training, and what it is to learn."""
    scratch, aids = is_bare_config(source), setup.aids
    if aids and not (scratch and kind == "seq2seq"):
        raise InputError(
            f"{source}: auxiliary_ctc, token_noise and joined are for a Whisper that starts from "
            "its config"
        )
    # A classifier's classes are those of all who may be trained on: a stranger's is not among them.
    known = corpus.part("retain", "forget") if kind == "classification" else corpus.manifest
    vocabulary = vocabulary_of(known, kind)
    seed_everything(seed)
    if scratch:
        model, processor = model_from_config(source, vocabulary, seed, kind)
    else:
        model, processor = pretrained_model(source, vocabulary, kind)
    # First without aids, to refuse a language that the model does not have.
    task = task_for(model, processor, device, language=setup.language)
    # Random weights tell nothing, but the vocabulary was made of the transcripts as given.
    made = scratch and kind == "seq2seq" and setup.spelling == "auto"
    choose_spelling(task, corpus.part("retain"), "as_given" if made else setup.spelling)
    return Seq2SeqFromScratch(model, processor, device, aids) if aids else task


def _changes(task: Task, setup: Setup) -> list[Change]:
    """What training does to the utterances; raises ValueError for speeds or crops that are none."""
    changes: list[Change] = []
    if setup.speeds != Setup.speeds:
        changes.append(Speeds(setup.speeds))
    if setup.crop_seconds:
        # Behind the speeds, to be of one length.
        long = setup.crop_seconds
        samples = round(long * SAMPLE_RATE) if math.isfinite(long) else 0
        frames = int(task.front_end.frames(torch.tensor([samples])))
        if samples < 1 or frames < task.front_end.fewest_frames:
            raise InputError(
                f"--crop_seconds {long:g}: give enough for the model, or 0 for whole utterances"
            )
        changes.append(Crop(samples, frames))
    if setup.augmented:
        changes.append(PolarityAndShift())
    return changes


def _start_from_filterbank(task: Task, corpus: Corpus) -> None:
    """Always on the retain set's audio, so that the retrained model starts where the original did.

    Raises:
        ValueError: the model has no convolution that hears the wave.
    """
    if not isinstance(task.front_end, ConvFrontEnd):
        raise InputError(
            f"filterbank: {type(task.model).__name__} does not measure_losses the wave itself"
        )
    inputs = Inputs(task)
    waves = [inputs(u).input for u in corpus.part("retain")[:CALIBRATION_UTTERANCES]]
    start_from_filterbank(task.front_end.first_convolution, waves)

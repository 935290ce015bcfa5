"""Checks that utterances have targets to train on and to evaluate against."""

from collections.abc import Sequence

import torch

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS
from asr_unlearn.models.inference import with_known_labels
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.runtime.progress import Bar

NAMED = 10


def check_targets(task: Task, utterances: Sequence[Utterance], fastest: float = 1.0) -> None:
    """Check that every utterance has a target that fits its length, and a reference.

    Args:
        task: makes the targets.
        utterances: to check.
        fastest: playback speed at which the target must still fit.

    Raises:
        InputError: naming the utterances.
    """
    bar = Bar(utterances, desc="checking targets", unit="utt", delay=2, leave=False)
    problems = [problem for utterance in bar if (problem := _problem(task, utterance, fastest))]
    if len(problems) > NAMED:
        problems[NAMED:] = [f"and {len(problems) - NAMED} more"]
    if problems:
        raise InputError("; ".join(problems))


def _problem(task: Task, utterance: Utterance, fastest: float) -> str | None:
    """Why an utterance has no usable target, by its entry in the manifest; else None."""
    try:
        target = task.target(utterance)
    except ValueError as error:
        return str(error)
    if not task.fits(target, round(utterance.seconds * SAMPLE_RATE / fastest)):
        sped = "" if fastest == 1 else f", {fastest:g} times as fast,"
        return (
            f"utterance {utterance.id}: {utterance.seconds:.2f} s of audio{sped} have no room for "
            f"the {len(target)} labels of {utterance.text!r}"
        )
    if not task.reference(utterance).strip():
        return f"utterance {utterance.id}: {utterance.text!r} has no words to compare"
    return None


def check_parts(task: Task, corpus: Corpus, parts: Sequence[str], fastest: float = 1.0) -> None:
    """Check the targets of `parts`, to train on, and of the rest, to evaluate on, before training.

    Raises:
        InputError: naming the utterances without a target.
    """
    others = corpus.part(*(part for part in PARTS if part not in parts))
    check_targets(task, corpus.part(*parts), fastest)
    check_targets(task, with_known_labels(task, others))


def check_targets_of_all(models: Sequence[SavedModel], utterances: Sequence[Utterance]) -> None:
    """Check the targets that each model has for utterances, before any is transcribed.

    Models of the same settings spell alike: one of them is checked for all.

    Raises:
        InputError: naming the utterances without a target, or a classifier without their classes.
    """
    kinds = {digest_of(model.settings()): model for model in models}
    for model in kinds.values():
        task = model.task(torch.device("cpu"))
        if not (known := with_known_labels(task, utterances)):
            raise InputError(f"{model.folder}: no utterance is of one of its classes")
        check_targets(task, known)

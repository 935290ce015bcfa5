"""Unlearning from a manifest to a published model folder."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS, Part
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import spelling as method_spelling
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.inference import MeanScore, mean_score, score
from asr_unlearn.models.loading import (
    load_model,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.targets import check_parts
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.transcript_spelling import Asked, choose_spelling
from asr_unlearn.models.tasks.window import Window, set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.class_unlearning import forgets_classes, relabelled_unseen
from asr_unlearn.training.retain_check import RetainCheck, check_finite, outputs, sample
from asr_unlearn.training.run_folder import carry_out
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import (
    Difficulty,
    _everyones,
    check_reference_model,
    forget_difficulty,
    stop_rule,
)
from asr_unlearn.training.trainer import Outcome, Training

PARTS_USED: tuple[Part, ...] = ("forget", "retain", "unseen")


def unlearn_model(
    corpus: Corpus,
    original: Path,
    method: Method,
    out: Path,
    *,
    seed: int,
    device: torch.device,
    stop: Stop,
    freeze_front_end: bool = True,
    window: Window = "auto",
    spelling: Asked = "auto",
) -> Outcome:
    """Make the model at `original` forget the split's forget part and publish it at `out`.

    Raises:
        ValueError: `out` is the original's own place, a part lacks utterances or targets, the
            stop rule's reference_model is none, or nothing was unlearned.
    """
    if out.resolve() == original.resolve():
        raise InputError(f"{out} is the original: give the unlearned model a place of its own")
    made_from = {"original": SavedModel.at(original).as_source(out)}
    if stop.reference_model is not None:
        check_reference_model(stop.reference_model, corpus.split)
        made_from["reference_model"] = SavedModel.at(stop.reference_model).as_source(out)
    task = original_task(original, device, freeze_front_end)
    seconds = set_window(task, window, corpus.part(*PARTS))
    choose_spelling(task, corpus.part("retain"), spelling)
    given: dict[Part, list[Utterance]] = {part: corpus.part(part) for part in PARTS_USED}
    answered = ("forget", "retain") if forgets_classes(task, given) else PARTS_USED
    check_parts(task, corpus, answered)
    options = {
        "method": method_spelling(method),
        **asdict(method),
        "model": str(original),
        "stop": stop.recorded(),
        "front_end_frozen": task.front_end_is_frozen,
    }
    if seconds is not None:
        options["window"] = seconds
    if spelling != "auto":
        options["spelling"] = spelling
    if "reference_model" in made_from:
        options["reference_model"] = made_from["reference_model"]["path"]

    def run(folder: Path) -> Outcome:
        inputs = Inputs(task, feature_cache=corpus.features)
        return run_unlearning(inputs, method, given, stop, folder, seed)

    return carry_out(
        "unlearn",
        run,
        task,
        {**corpus.content(), "made_from": made_from},
        out,
        options,
        seed,
        **made_from,
        request=corpus.split.digest,
    )


def original_task(folder: Path, device: torch.device, freeze_front_end: bool) -> Task:
    """The model that has met the forget speakers, ready to unlearn."""
    model, processor = load_model(str(folder))
    task = task_for(model, processor, device)
    if freeze_front_end:
        task.freeze_front_end()
    return task


def run_unlearning(
    inputs: Inputs,
    method: Method,
    given: Mapping[Part, Sequence[Utterance]],
    stop: Stop,
    folder: Path,
    seed: int,
) -> Outcome:
    """Make the model of `inputs` forget; it is left as the result.

    Raises:
        ValueError: a part that the method or the stop rule needs has no utterances; or nothing was
            unlearned: what is called so must not be the original.
    """
    needed = {*method.needs, "forget"}
    if stop.rule == "unseen":
        needed.add("unseen")
    lacking = sorted(part for part in needed if not given[part])
    if lacking:
        raise InputError(
            f"{method.name} with the stop rule {stop.rule!r} needs utterances for: "
            f"{', '.join(lacking)}"
        )
    before = fingerprint(inputs.task.model)
    began = time.monotonic()
    if forgets_classes(inputs.task, given):
        given = {**given, "unseen": relabelled_unseen(given)}
    harder = forget_difficulty(inputs, given, stop) if "unseen" in needed else Difficulty()
    rule = stop_rule(inputs, given["unseen"], stop, harder) if stop.rule == "unseen" else None
    run = Training(
        inputs.task,
        method,
        {part: given[part] for part in method.needs},
        inputs,
        folder,
        seed=seed,
        stop=rule,
        difficulty=harder.ratio,
        checked=given["forget"],
        description=method.name,
    )
    # Measuring the level of strangers is part of what unlearning costs.
    run.progress.seconds = time.monotonic() - began + harder.seconds
    keeps = sample(given["retain"])
    level_before = _level_of_kept(inputs, keeps)
    outcome = run()
    _refuse_the_original(outcome, method, same=fingerprint(inputs.task.model) == before)
    level_after = _level_of_kept(inputs, keeps)
    check_finite(inputs.task, level_after)
    if level_before is None or level_after is None:
        return outcome
    kept = RetainCheck(level_before, level_after, len(keeps), outputs(inputs.task))
    return replace(outcome, kept=kept.recorded(), warning=kept.warning)


def _level_of_kept(inputs: Inputs, utterances: Sequence[Utterance]) -> MeanScore | None:
    if not utterances:
        return None
    return mean_score(_everyones(score, inputs, utterances, "level of those to keep"))


def _refuse_the_original(outcome: Outcome, method: Method, *, same: bool) -> None:
    """Raises ValueError where no step was made, or the weights are the same as before."""
    if not outcome.steps:
        raise InputError(
            f"nothing was unlearned: {outcome.stopped} before the first step. Either the model was "
            "never trained on these speakers, or it was trained on those of the unseen part: mark "
            'people whom it has never met with the subset "dev" in the manifest. The stop rule '
            '"steps" (--stop.rule steps) unlearns all the same'
        )
    if same:
        raise InputError(
            f"nothing was unlearned: {method.name} went on {outcome.stopped}, and every weight is "
            "as it was; look at the method's options"
        )

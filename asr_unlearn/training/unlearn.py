"""Unlearning: from an original model and a split to a published model folder."""

import copy
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.split import PARTS, Part
from asr_unlearn.gradients import Gradient, trainable_parameters
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import published_name
from asr_unlearn.models.adapters import base_of, base_to_publish_on
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.inference import mean_score, quick_scores
from asr_unlearn.models.loading import load_model
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.targets import check_parts
from asr_unlearn.models.tasks import Task, task_for
from asr_unlearn.models.tasks.transcript_spelling import choose_spelling
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.sharding import unsharded
from asr_unlearn.training.base_weights import base_weights
from asr_unlearn.training.clock import Clock
from asr_unlearn.training.earlier_requests import earlier_changes
from asr_unlearn.training.outcome import NothingUnlearnedError, Outcome
from asr_unlearn.training.preparation import Preparation
from asr_unlearn.training.retain_check import RetainCheck, check_model_finite, outputs
from asr_unlearn.training.run_folder import RunFolder
from asr_unlearn.training.sharded_task import sharded_task
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import (
    Difficulty,
    OriginalScores,
    forget_difficulty,
    stop_rule,
    with_reference_model,
)
from asr_unlearn.training.trained_weights import TrainedWeights
from asr_unlearn.training.trainer import Training
from asr_unlearn.training.unlearn_setup import ALL_BUT_FRONT_END, UnlearnSetup
from asr_unlearn.training.unlearning_data import UnlearningData

logger = logging.getLogger(__name__)

PARTS_USED: tuple[Part, ...] = ("forget", "retain", "unseen")
NEED_NO_RETAIN = (
    "; gradient_ascent needs no retain utterances, nor do npo and simnpo with --method.alpha 0, "
    "and msa with --method.beta 0"
)


def unlearn_model(
    corpus: Corpus,
    original: Path,
    method: Method,
    out: Path,
    *,
    seed: int,
    device: torch.device,
    stop: Stop,
    setup: UnlearnSetup = UnlearnSetup(),  # noqa: B008
) -> Outcome:
    """Make the model at `original` forget the split's forget part and publish it at `out`.

    Args:
        corpus: manifest and split.
        original: folder of the model that was trained on the forget part.
        method: to unlearn by.
        out: folder of the unlearned model.
        seed: of the order of the batches, and of new adapters.
        device: to compute on.
        stop: when to end.
        setup: which weights are changed, and how.

    Raises:
        InputError: a part lacks utterances or targets, the reference model cannot be used, or
            nothing was unlearned.
    """
    made_from = {"original": SavedModel.at(original).as_source(out)}
    stop = with_reference_model(stop, corpus.split).of_method(method)
    if stop.reference_model is not None:
        made_from["reference_model"] = SavedModel.at(stop.reference_model).as_source(out)
    task = original_task(original, device, setup.trained, seed)
    task.compute = setup.compute
    base = None if setup.merge else base_to_publish_on(task.model, str(original))
    if base is not None and base_of(original) is None:
        logger.warning(
            "%s: without its adapters the result is the original, which remembers the forget "
            "speakers: to delete them, merge the adapters (--merge true) and delete the original",
            original,
        )
    window = set_window(task, setup.window, corpus.part(*PARTS))
    choose_spelling(task, corpus.part("retain") or corpus.part("forget"), setup.spelling)
    data = UnlearningData.of(task, {part: corpus.part(part) for part in PARTS_USED})
    # A forgotten class's target is measured on the forgotten labels, not on the unseen ones.
    check_parts(task, corpus, ("forget", "retain") if data.classes else PARTS_USED)
    options = {
        "method": published_name(method),
        **asdict(method),
        # Its path, relative to `out`, is in "original".
        "model": original.resolve().name,
        "stop": stop.recorded(),
        **setup.recorded(task, window, later=bool(corpus.split.forgotten_speakers)),
    }
    if "reference_model" in made_from:
        options["reference_model"] = made_from["reference_model"]["path"]
    read = {**corpus.content(), "made_from": made_from}
    with RunFolder(out, task, kind="unlearn", seed=seed, options=options, data=read) as run:
        parameters = trainable_parameters(task.model)
        protected = earlier_changes(original, parameters) if setup.protect_earlier else []
        if protected and setup.compute.shard:
            raise InputError("--compute.shard: give --protect_earlier false too")
        with sharded_task(task, method) as own:
            inputs = Inputs(own, feature_cache=corpus.features)
            outcome = run_unlearning(inputs, method, data, stop, run.path, seed, protected)
        run.publish(outcome, base=base, **made_from, request=corpus.split.digest)
    return outcome


def original_task(
    folder: Path,
    device: torch.device,
    trained: TrainedWeights = ALL_BUT_FRONT_END,
    seed: int = 0,
) -> Task:
    """The model that was trained on the forget speakers, ready to unlearn."""
    model, processor = load_model(str(folder))
    task = task_for(model, processor, device)
    trained.choose(task, seed)
    return task


def run_unlearning(
    inputs: Inputs,
    method: Method,
    data: UnlearningData,
    stop: Stop,
    folder: Path,
    seed: int,
    protected: Sequence[Gradient] = (),
) -> Outcome:
    """Make the model of `inputs` forget, working in `folder`; the model is left as the result.

    Raises:
        InputError: a part that the method or the stop rule needs has no utterances; or nothing was
            unlearned, since the original must not be published as unlearned.
    """
    # What it carries from step to step is of this run alone.
    method = copy.deepcopy(method)
    stop = stop.of_method(method)
    needed = _needed_parts(method, data, stop)
    before = fingerprint(unsharded(inputs.task.model))
    clock = Clock()
    original, prepared = _prepared(inputs, method, data, stop, needed, clock)
    training = Training(
        inputs.task,
        method,
        {part: data.parts[part] for part in method.parts},
        inputs,
        folder,
        seed=seed,
        prepared=replace(prepared, protected=protected),
        clock=clock,
        description=method.name,
    )
    outcome = training()
    _refuse_the_original(outcome, method, same=fingerprint(unsharded(inputs.task.model)) == before)
    return _with_retain_check(outcome, inputs, original, clock) if original.retain else outcome


def _needed_parts(method: Method, data: UnlearningData, stop: Stop) -> set[Part]:
    """The parts that the method and the stop rule need.

    Raises:
        InputError: one of them has no utterances.
    """
    needed: set[Part] = {*method.parts, "forget"}
    if stop.rule == "unseen" or method.lr == "auto":
        needed.add("unseen")
    lacking = sorted(part for part in needed if not data.given[part])
    if lacking:
        by = f"the stop rule {stop.rule!r}" + (" and lr=auto" if method.lr == "auto" else "")
        remedy = NEED_NO_RETAIN if "retain" in lacking else ""
        raise InputError(
            f"{method.name} with {by} needs utterances for: {', '.join(lacking)}{remedy}"
        )
    return needed


def _prepared(
    inputs: Inputs,
    method: Method,
    data: UnlearningData,
    stop: Stop,
    needed: Collection[Part],
    clock: Clock,
) -> tuple[OriginalScores, Preparation]:
    """The original's scores, and what the run goes by."""
    base: Gradient = {}
    if method.needs_base:
        base = base_weights(stop.reference_model, inputs.task.model, method.name)
    with clock.phase("preparation"), clock.counting(inputs.task.model):
        original = OriginalScores.of(inputs, data, stop, target="unseen" in needed)
        difficulty = Difficulty()
        if "unseen" in needed:
            difficulty = forget_difficulty(inputs, data, stop, original)
        rule = None
        if stop.rule == "unseen":
            rule = stop_rule(inputs, original.unseen, stop, difficulty)
    clock.costs["preparation"] += difficulty.cost
    return original, Preparation(
        stop=rule,
        checked=data.parts["forget"],
        unchanged=mean_score(original.forget),
        difficulty=difficulty.ratio,
        known=original.losses(),
        base=base,
    )


def _with_retain_check(
    outcome: Outcome, inputs: Inputs, original: OriginalScores, clock: Clock
) -> Outcome:
    """The outcome with what became of the retain utterances that the original was measured on.

    Raises:
        DivergedError: a weight, or their loss, is not finite.
    """
    with clock.phase("checks"), clock.counting(inputs.task.model):
        utterances = [one.utterance for one in original.retain]
        after = mean_score(quick_scores(inputs, utterances, "score on retain"))
    outcome = replace(outcome, seconds=round(clock.total.seconds, 2), costs=clock.gathered())
    check_model_finite(inputs.task, after)
    check = RetainCheck(
        mean_score(original.retain),
        after,
        len(original.retain),
        outputs(inputs.task),
        mean_score(original.unseen).loss if original.unseen else None,
    )
    return replace(outcome, kept=check.recorded(), warning=check.warning or outcome.warning)


def _refuse_the_original(outcome: Outcome, method: Method, *, same: bool) -> None:
    """Check that a step was taken, and that the weights are not the same as before.

    Raises:
        NothingUnlearnedError: no step was taken.
        InputError: no weight has changed.
    """
    if not outcome.steps:
        raise NothingUnlearnedError(
            f"nothing was unlearned: {outcome.stopped} before the first step. Either the model was "
            "never trained on these speakers, or it was trained on those of the unseen part: mark "
            'speakers it was never trained on with the subset "dev" in the manifest. The stop rule '
            '"steps" (--stop.rule steps) unlearns all the same',
            outcome.target,
        )
    if same:
        raise InputError(
            f"nothing was unlearned: {method.name} ran {outcome.stopped}, and every weight is "
            "unchanged; check the method's options"
        )

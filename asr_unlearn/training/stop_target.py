"""The forgetting target: the forget speakers' score if the model had not been trained on them.

Only a retrained model has it. The original's score on unseen speakers is the nearest that can be
measured, but some speakers are harder to recognise than others, trained on or not: the average
unseen speaker's loss is too low a target for hard forget speakers. How hard they are is estimated
from their losses by the original model, roughly, or by a reference model, a recogniser that was
trained neither on them nor on the unseen speakers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch

from asr_unlearn.data.split import PARTS, Part, Split
from asr_unlearn.metrics.intervals import ratio_interval
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.hub import model_folder
from asr_unlearn.models.inference import (
    MeanScore,
    UtteranceLoss,
    by_all_processes,
    group_scores,
    mean_score,
    measure_losses,
    quick_scores,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.models.tasks.task import check_finite
from asr_unlearn.models.tasks.window import set_window
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.clock import Clock, Cost
from asr_unlearn.training.difficulty import (
    REFERENCE_POWER,
    difficulty,
    fewer_speakers_factor,
    hardness,
    shrunk_difficulty,
)
from asr_unlearn.training.retain_check import FEW, MANY, outputs, sample
from asr_unlearn.training.stop_rule import Stop, StopRule
from asr_unlearn.training.unlearning_data import UnlearningData

# CER of a reference model above which its losses hardly differ between speakers; and the same as a
# share of a uniform guess's loss, where transcripts would have to be generated.
TOO_MANY_ERRORS, TOO_HIGH_A_LOSS = 0.5, 0.5


def forgetting_target(unseen: MeanScore, difficulty: float) -> MeanScore:
    """The unseen speakers' score times the difficulty, in loss and in CER, which is at most 1."""
    cer = None if unseen.cer is None else min(1.0, unseen.cer * difficulty)
    return MeanScore(loss=unseen.loss * difficulty, cer=cer)


def target_interval(
    unseen: Sequence[UtteranceLoss],
    difficulty: float,
    reference_losses: Sequence[UtteranceLoss] = (),
) -> tuple[float, float] | None:
    """95% confidence interval of the loss of `forgetting_target`, over speakers, given difficulty.

    Args:
        unseen: losses of the unseen utterances by the original.
        difficulty: of the forget speakers.
        reference_losses: of the same utterances by a reference model. They tell which utterances
            are hard, so that the interval depends less on who the unseen speakers are.

    Returns:
        The ends; None with fewer than three speakers.
    """
    losses = [difficulty * one.loss for one in unseen]
    weights = [1.0] * len(losses)
    if reference_losses:
        hard = hardness(reference_losses, REFERENCE_POWER)
        weights = [own / float(np.mean(hard)) for own in hard]
    return ratio_interval(losses, weights, [one.utterance.speaker for one in unseen])


def with_reference_model(stop: Stop, split: Split) -> Stop:
    """The rule with the folder of its reference model, which is downloaded if it is on the Hub.

    Raises:
        InputError: there is no such model, or its run.json says that it was trained on other parts
            than retain.
    """
    if stop.reference_model is None:
        return stop
    try:
        folder = model_folder(str(stop.reference_model))
    except InputError as error:
        raise InputError(f"--stop.reference_model: {error}") from error
    others = [part for part in PARTS if part != "retain"]
    if why := SavedModel.at(folder).training_overlap(split, others):
        raise InputError(f"{folder} cannot be the reference model: {why}")
    return replace(stop, reference_model=folder)


def reference_inputs(folder: Path, inputs: Inputs) -> Inputs:
    """Inputs for the reference model at `folder`, with the recordings as `inputs` reads them."""
    return Inputs(SavedModel.at(folder).task(inputs.task.device), load=inputs.load)


def check_reference_errors(folder: Path, unseen: MeanScore, outputs: int) -> None:
    """Raises InputError if a reference model makes too many errors on unseen speakers.

    Args:
        folder: of the model.
        unseen: its score on them; without CER the loss decides.
        outputs: entries of its vocabulary.
    """
    if unseen.cer is not None and unseen.cer > TOO_MANY_ERRORS:
        why = f"a CER of {unseen.cer:.0%}"
    elif unseen.cer is None and unseen.loss > TOO_HIGH_A_LOSS * math.log(outputs):
        why = f"a loss of {unseen.loss:.3g}"
    else:
        return
    raise InputError(
        f"the reference model {folder} has {why} on unseen speakers, too high "
        "to tell which speakers are hard: train it longer, or leave --stop.reference_model out"
    )


def training_cost(folder: Path) -> Cost:
    """What training a model cost, nothing if unknown; part of the cost of unlearning.

    Of several processes, the first one has it.
    """
    if not distributed.is_first():
        return Cost()
    run = SavedModel.at(folder).run()
    phases = [Cost(**cost) for cost in run.get("costs", {}).values()]
    return replace(sum(phases, Cost()), seconds=float(run.get("seconds", 0.0)))


@dataclass(frozen=True)
class OriginalScores:
    """The original model's scores; without transcripts where a decoder would have to write them.

    Attributes:
        forget: of the forget utterances.
        retain: of a sample of the retain utterances (see `retain_check`).
        unseen: of the unseen utterances, with transcripts if the stop rule needs them; empty where
            nothing needs a target.
    """

    forget: Sequence[UtteranceLoss]
    retain: Sequence[UtteranceLoss]
    unseen: Sequence[UtteranceLoss]

    @classmethod
    def of(cls, inputs: Inputs, data: UnlearningData, stop: Stop, *, target: bool) -> Self:
        """Measure them; `target` says whether the unseen utterances are needed.

        Raises:
            NonFiniteLossError: naming the utterances whose loss is not finite.
        """
        # A decoder takes several times as long to write as to be scored: "any" goes by the loss.
        most = MANY if stop.by_difficulty and stop.reference_model is None else FEW
        scores = group_scores if stop.on in ("cer", "all") else quick_scores
        found = (
            quick_scores(inputs, data.parts["forget"], "original on forget"),
            quick_scores(inputs, sample(data.parts["retain"], most), "original on retain"),
            scores(inputs, data.parts["unseen"] if target else [], "original on unseen"),
        )
        cause = f"{inputs.task.not_finite}; leave them out"
        for scored in found:
            losses = torch.tensor([one.loss for one in scored])
            check_finite(losses, [u.utterance.id for u in scored], cause, "the original's loss")
        return cls(*found)

    def losses(self) -> dict[Part, Mapping[str, float]]:
        """The losses of whole parts, by id."""
        parts: dict[Part, Sequence[UtteranceLoss]] = {"forget": self.forget, "unseen": self.unseen}
        return {part: {one.utterance.id: one.loss for one in own} for part, own in parts.items()}


@dataclass(frozen=True)
class Difficulty:
    """How hard the forget speakers are, relative to the unseen speakers.

    Attributes:
        ratio: the factor from the unseen speakers' loss to the target; with a reference model it
            holds `fewer_speakers_factor` too.
        reference_losses: of the unseen utterances by the reference model, if there is one.
        cost: of training the reference model and of the passes through it, each of which counts as
            much of one through the model to be unlearned as it has of its parameters.
    """

    ratio: float = 1.0
    reference_losses: Sequence[UtteranceLoss] = ()
    cost: Cost = field(default_factory=Cost)


def forget_difficulty(
    inputs: Inputs, data: UnlearningData, stop: Stop, original: OriginalScores
) -> Difficulty:
    """The difficulty by the reference model, else by the original's losses; 1 for classes.

    Raises:
        InputError: a reference model where classes are forgotten, or one with too many errors.
    """
    if data.classes:
        if stop.reference_model is not None:
            raise InputError(
                "whole classes are forgotten, and a reference model measures speakers: leave "
                "--stop.reference_model out"
            )
        return Difficulty()
    if not stop.by_difficulty:
        return Difficulty()
    if stop.reference_model is not None:
        return _reference_difficulty(stop.reference_model, inputs, data)
    if not original.retain:
        return Difficulty()
    return Difficulty(shrunk_difficulty(original.forget, original.retain))


def _reference_difficulty(folder: Path, inputs: Inputs, data: UnlearningData) -> Difficulty:
    given, reference = data.given, reference_inputs(folder, inputs)
    set_window(reference.task, "auto", [*given["forget"], *given["unseen"]])
    clock, model = Clock(), reference.task.model
    with clock.phase("preparation"), clock.counting(model):
        unseen = quick_scores(reference, given["unseen"], "reference model on unseen")
        check_reference_errors(folder, mean_score(unseen), outputs(reference.task))
        forget = by_all_processes(
            measure_losses, reference, given["forget"], "reference model on forget"
        )
    ratio = difficulty(forget, unseen, REFERENCE_POWER)
    ratio *= fewer_speakers_factor(given["forget"], given["retain"])
    share = model.num_parameters() / inputs.task.model.num_parameters()
    # The seconds of these passes are those of the phase that this is part of.
    cost = (training_cost(folder) + replace(clock.total, seconds=0.0)).scaled(share)
    return Difficulty(ratio, unseen, cost)


def stop_rule(
    inputs: Inputs, unseen: Sequence[UtteranceLoss], stop: Stop, difficulty: Difficulty
) -> StopRule:
    """The stop rule, its target from the original's scores of the unseen utterances."""
    return StopRule(
        target=forgetting_target(mean_score(unseen), difficulty.ratio),
        on=stop.on or "any",
        tolerance=stop.tolerance,
        every=stop.every,
        figure="error rate" if inputs.task.one_label else "CER",
        interval=target_interval(unseen, difficulty.ratio, difficulty.reference_losses),
    )

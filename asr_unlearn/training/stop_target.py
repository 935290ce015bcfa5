"""How a model would treat the forget speakers, had it never met them: the level to forget down to.

Nobody who needs unlearning can measure it. How the model treats people it has really never met is
the nearest that can be measured, but some people are harder to recognise than others, whether they
were trained on or not: a forget list of such people is not forgotten yet at the loss of the average
stranger. How hard the forget speakers are is told by what the model makes of them after training,
roughly, or by an reference_model, a recogniser that has met neither them nor the strangers.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import PARTS, Part, Split
from asr_unlearn.metrics.bootstrap import ratio_interval
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import (
    MeanScore,
    Score,
    UtteranceLoss,
    mean_score,
    measure_losses,
    score,
)
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.class_unlearning import forgets_classes
from asr_unlearn.training.stop_rule import Stop, StopRule

# A stranger's loss grows like this power of what it would be after training (see `difficulty`):
# measured on AN4, on 24 pairs of models of which one had met a speaker and the other had not.
POWER = 0.4
# And like this power of what it is to a small recogniser that has met neither him nor the others:
# of 0 to 2.5, what tells the losses of seven of AN4's unseen speakers best from seven others'.
REFERENCE_POWER = 1.5
# It falls like this power of the number of speakers that a recogniser has learned from: reference_models
# of 26 and of 53 of AN4's speakers, on two forget lists (1.27 and 0.69 on average).
SPEAKERS_POWER = 0.86
# What is known of the difficulty of a few speakers should not decide alone.
BOUNDS = (0.5, 2.0)
# Enough of the retain set to know how hard its people are.
SPEAKERS, UTTERANCES = 50, 20


def difficulty(
    forget: Sequence[UtteranceLoss], others: Sequence[UtteranceLoss], power: float = POWER
) -> float:
    """How much higher a stranger's loss would be, were strangers as hard as the forget speakers.

    The ratio of the groups' means of ℓ^power, ℓ the mean loss of an utterance's speaker. With the
    default power the losses are those of the model that was trained on both groups; they differ by
    far more than losses of strangers. With `REFERENCE_POWER` they are an reference_model's, and the others
    are the unseen speakers; it knows less, and its losses differ less. Between 0.5 and 2.

    Raises:
        ValueError: a group is empty.
    """
    if not forget or not others:
        raise InputError("difficulty is measured on forget speakers and others")
    hard, usual = (float(np.mean(hardness(group, power))) for group in (forget, others))
    return float(np.clip(hard / max(usual, 1e-12), *BOUNDS))


def hardness(heard: Sequence[UtteranceLoss], power: float) -> list[float]:
    """Of each utterance: its speaker's mean loss, to that power."""
    losses: defaultdict[str, list[float]] = defaultdict(list)
    for one in heard:
        losses[one.utterance.speaker].append(one.loss)
    hard = {name: float(np.mean(own) ** power) for name, own in losses.items()}
    return [hard[one.utterance.speaker] for one in heard]


def fewer_speakers_factor(forget: Sequence[Utterance], retain: Sequence[Utterance]) -> float:
    """How much higher strangers' losses are to a model that has learned from the retain set alone.

    It has heard fewer people than the original, whose losses are at hand. 1 without a retain set,
    when nobody knows how many it has heard.
    """
    kept = {u.speaker for u in retain}
    everybody = kept | {u.speaker for u in forget}
    return float((len(everybody) / len(kept)) ** SPEAKERS_POWER) if kept else 1.0


def forgetting_target(unseen: MeanScore, difficulty: float) -> MeanScore:
    """The level of strangers that are so much harder, in loss and, likewise, in CER."""
    return MeanScore(loss=unseen.loss * difficulty, cer=min(1.0, unseen.cer * difficulty))


def target_interval(
    unseen: Sequence[UtteranceLoss],
    difficulty: float,
    reference_losses: Sequence[UtteranceLoss] = (),
) -> tuple[float, float] | None:
    """How well these strangers tell the loss of `forgetting_target`: 95%, over speakers.

    What an outsider makes of the same utterances says which of them are hard, so that it matters
    less who the strangers happen to be. None with fewer than two speakers.
    """
    losses = [difficulty * one.loss for one in unseen]
    weights = [1.0] * len(losses)
    if reference_losses:
        hard = hardness(reference_losses, REFERENCE_POWER)
        weights = [own / float(np.mean(hard)) for own in hard]
    return ratio_interval(losses, weights, [one.utterance.speaker for one in unseen])


def representatives(retain: Sequence[Utterance]) -> list[Utterance]:
    """Up to 20 utterances of each of up to 50 speakers, evenly from the whole set."""
    names = sorted({u.speaker for u in retain})
    chosen = {names[i] for i in np.linspace(0, len(names) - 1, SPEAKERS).round().astype(int)}
    by_speaker: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in retain:
        if utterance.speaker in chosen:
            by_speaker[utterance.speaker].append(utterance)
    return [u for own in by_speaker.values() for u in islice(own, UTTERANCES)]


# To one that mishears more than this, everybody is as hard as everybody else.
TOO_MANY_ERRORS = 0.5


def check_reference_model(folder: Path, split: Split) -> None:
    """See that there is such a model, which was not trained on those whom it is to judge.

    Raises:
        ValueError: there is none, or its run.json says that it was.
    """
    if not folder.is_dir():
        raise InputError(f"--stop.reference_model {folder}: there is no such model folder")
    others = [part for part in PARTS if part != "retain"]
    if why := SavedModel.at(folder).training_overlap(split, others):
        raise InputError(f"{folder} is no reference_model: {why}")


def reference_inputs(folder: Path, inputs: Inputs) -> Inputs:
    """The reference_model at `folder`, and the recordings as `inputs` reads them."""
    return Inputs(SavedModel.at(folder).task(inputs.task.device), load=inputs.load)


def check_reference_errors(folder: Path, strangers: Sequence[Score]) -> None:
    """Raises ValueError where the reference_model has not learned enough to tell who is hard."""
    if (errors := mean_score(strangers).cer) > TOO_MANY_ERRORS:
        raise InputError(
            f"the reference_model {folder} mishears {errors:.0%} of what strangers say, and cannot tell "
            "who of them is hard: train it longer, or leave --stop.reference_model out"
        )


def training_seconds(folder: Path) -> float:
    """What it took to train it, which is part of what unlearning costs; 0 if nobody knows."""
    return float(SavedModel.at(folder).run().get("seconds", 0.0))


H = TypeVar("H", bound=UtteranceLoss)


@dataclass(frozen=True)
class Difficulty:
    """How hard the forget speakers are beside others.

    Attributes:
        ratio: of what strangers as hard would have to what the unseen speakers have; with an
            reference_model, to a model that has not learned from the forget speakers either.
        reference_losses: what an outsider makes of the unseen speakers, if one was asked.
        seconds: what it took to train the reference_model.
    """

    ratio: float = 1.0
    reference_losses: Sequence[UtteranceLoss] = ()
    seconds: float = 0.0


def forget_difficulty(
    inputs: Inputs, given: Mapping[Part, Sequence[Utterance]], stop: Stop
) -> Difficulty:
    """How hard the forget speakers are to an reference_model, or to the model as it is; 1 for classes.

    Raises:
        ValueError: an outsider for classes, or one that has not learned to recognise speech.
    """
    if forgets_classes(inputs.task, given):
        if stop.reference_model is not None:
            raise InputError("there are no strangers to a class: leave --stop.reference_model out")
        return Difficulty()
    if not stop.by_difficulty:
        return Difficulty()
    if stop.reference_model is not None:
        return _difficulty_to(stop.reference_model, inputs, given)
    if not given["retain"]:
        return Difficulty()
    others = representatives(given["retain"])
    ratio = difficulty(
        _everyones(measure_losses, inputs, given["forget"], "difficulty of those to forget"),
        _everyones(measure_losses, inputs, others, "difficulty of the others"),
    )
    return Difficulty(ratio)


def _difficulty_to(
    reference_model: Path, inputs: Inputs, given: Mapping[Part, Sequence[Utterance]]
) -> Difficulty:
    theirs = reference_inputs(reference_model, inputs)
    unseen = _everyones(score, theirs, given["unseen"], "reference_model on strangers")
    check_reference_errors(reference_model, unseen)
    forget = _everyones(score, theirs, given["forget"], "reference_model on those to forget")
    harder = difficulty(forget, unseen, REFERENCE_POWER)
    ratio = harder * fewer_speakers_factor(given["forget"], given["retain"])
    return Difficulty(ratio, unseen, training_seconds(reference_model))


def stop_rule(
    inputs: Inputs, unseen: Sequence[Utterance], stop: Stop, harder: Difficulty
) -> StopRule:
    """The rule with its target measured on the model as it is."""
    strangers = _everyones(score, inputs, unseen, "level of strangers")
    figure = "error rate" if inputs.task.one_label else "CER"
    return StopRule(
        target=forgetting_target(mean_score(strangers), harder.ratio),
        on=stop.on,
        tolerance=stop.tolerance,
        every=stop.every,
        figure=figure,
        interval=target_interval(strangers, harder.ratio, harder.reference_losses),
    )


def _everyones(
    ask: Callable[..., list[H]], inputs: Inputs, utterances: Sequence[Utterance], description: str
) -> list[H]:
    """What `measure_losses` or `score` find in all processes together."""
    mine = distributed.share().of_all(utterances)
    shown = description if distributed.is_first() else None
    return distributed.gathered(ask(inputs.task, inputs, mine, description=shown))

"""A run that makes a model forget: what it draws from, its target, and when it ends."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from asr_unlearn import processes
from asr_unlearn.classes import asked_for_forgotten, forgets_classes
from asr_unlearn.errors import InputError
from asr_unlearn.inputs import Inputs
from asr_unlearn.kept import Kept, check_finite, outputs, sample
from asr_unlearn.manifest import Utterance
from asr_unlearn.methods import Method, Part
from asr_unlearn.outsider import check_learned, outsider_inputs, training_seconds
from asr_unlearn.scoring import Heard, Level, hear, level, score
from asr_unlearn.stopping import StopOn, StopRule
from asr_unlearn.strangers import (
    OUTSIDER_POWER,
    as_strangers,
    difficulty,
    fewer_teachers,
    level_interval,
    representatives,
)
from asr_unlearn.tasks.front_end import fingerprint
from asr_unlearn.training import Outcome, Training

H = TypeVar("H", bound=Heard)


@dataclass(frozen=True)
class Stop:
    """When an unlearning method ends (see `StopRule`).

    Attributes:
        rule: "unseen" measures the level of strangers on the original model; "steps" lets the
            method run for its epochs.
        on: which of forget loss and CER must arrive, "both" for the first of them, "all" for each;
            a classifier's "cer" is its error rate.
        tolerance: relative slack.
        every: steps between two measurements.
        by_difficulty: expect what strangers would have who are as hard to recognise as the forget
            speakers (see `strangers`); without it, or without retain utterances to compare them
            with, what the unseen speakers have. Holds for the target of a method too.
        outsider: folder of a recogniser that has met neither the forget nor the unseen speakers,
            which tells how hard they are better than the model to be unlearned, who has (see
            `outsider`).

    Raises:
        ValueError: `every` or `tolerance` out of range.
    """

    rule: Literal["unseen", "steps"] = "unseen"
    on: StopOn = "both"
    tolerance: float = 0.0
    every: int = 4
    by_difficulty: bool = True
    outsider: Path | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"stop.every must be 1 or more, not {self.every}")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"stop.tolerance must be from 0 to below 1, not {self.tolerance}")
        if self.outsider and not self.by_difficulty:
            raise InputError("stop.outsider tells a difficulty that stop.by_difficulty leaves out")

    def recorded(self) -> dict[str, Any]:
        """The rule as options of a run, where the outsider stands beside it."""
        return {name: value for name, value in asdict(self).items() if name != "outsider"}


def make_forget(
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
        given = {**given, "unseen": asked_for_forgotten(given)}
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
        watched=given["forget"],
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
    kept = Kept(level_before, level_after, len(keeps), outputs(inputs.task))
    return replace(outcome, kept=kept.recorded(), warning=kept.warning)


def _level_of_kept(inputs: Inputs, utterances: Sequence[Utterance]) -> Level | None:
    if not utterances:
        return None
    return level(_everyones(score, inputs, utterances, "level of those to keep"))


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


@dataclass(frozen=True)
class Difficulty:
    """How hard the forget speakers are beside others.

    Attributes:
        ratio: of what strangers as hard would have to what the unseen speakers have; with an
            outsider, to a model that has not learned from the forget speakers either.
        to_outsider: what an outsider makes of the unseen speakers, if one was asked.
        seconds: what it took to train the outsider.
    """

    ratio: float = 1.0
    to_outsider: Sequence[Heard] = ()
    seconds: float = 0.0


def forget_difficulty(
    inputs: Inputs, given: Mapping[Part, Sequence[Utterance]], stop: Stop
) -> Difficulty:
    """How hard the forget speakers are to an outsider, or to the model as it is; 1 for classes.

    Raises:
        ValueError: an outsider for classes, or one that has not learned to recognise speech.
    """
    if forgets_classes(inputs.task, given):
        if stop.outsider is not None:
            raise InputError("there are no strangers to a class: leave --stop.outsider out")
        return Difficulty()
    if not stop.by_difficulty:
        return Difficulty()
    if stop.outsider is not None:
        return _difficulty_to(stop.outsider, inputs, given)
    if not given["retain"]:
        return Difficulty()
    others = representatives(given["retain"])
    ratio = difficulty(
        _everyones(hear, inputs, given["forget"], "difficulty of those to forget"),
        _everyones(hear, inputs, others, "difficulty of the others"),
    )
    return Difficulty(ratio)


def _difficulty_to(
    outsider: Path, inputs: Inputs, given: Mapping[Part, Sequence[Utterance]]
) -> Difficulty:
    theirs = outsider_inputs(outsider, inputs)
    unseen = _everyones(score, theirs, given["unseen"], "outsider on strangers")
    check_learned(outsider, unseen)
    forget = _everyones(score, theirs, given["forget"], "outsider on those to forget")
    harder = difficulty(forget, unseen, OUTSIDER_POWER)
    ratio = harder * fewer_teachers(given["forget"], given["retain"])
    return Difficulty(ratio, unseen, training_seconds(outsider))


def stop_rule(
    inputs: Inputs, unseen: Sequence[Utterance], stop: Stop, harder: Difficulty
) -> StopRule:
    """The rule with its target measured on the model as it is."""
    strangers = _everyones(score, inputs, unseen, "level of strangers")
    figure = "error rate" if inputs.task.one_label else "CER"
    return StopRule(
        target=as_strangers(level(strangers), harder.ratio),
        on=stop.on,
        tolerance=stop.tolerance,
        every=stop.every,
        figure=figure,
        interval=level_interval(strangers, harder.ratio, harder.to_outsider),
    )


def _everyones(
    ask: Callable[..., list[H]], inputs: Inputs, utterances: Sequence[Utterance], description: str
) -> list[H]:
    """What `hear` or `score` find in all processes together."""
    mine = processes.share().of_all(utterances)
    shown = description if processes.is_first() else None
    return processes.gathered(ask(inputs.task, inputs, mine, description=shown))

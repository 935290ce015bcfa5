"""Search a method's options by what can be measured with a deletion request at hand.

It uses the forget, retain and unseen parts, and neither the test part nor a retrained model.
"""

import logging
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import PartialFixedSampler

from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import Part
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import find_method, make_method
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.inference import MeanScore, group_score, with_known_labels
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.training.retain_check import sample
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import (
    OriginalScores,
    forget_difficulty,
    forgetting_target,
)
from asr_unlearn.training.trial_storage import is_database, load_study
from asr_unlearn.training.unlearn import run_unlearning
from asr_unlearn.training.unlearning_data import UnlearningData

logger = logging.getLogger(__name__)

# A sample of a large retain set is enough: a trial should cost no more than unlearning.
RETAIN_SAMPLE = 240
LOG_SCALE_FROM = 10.0

Scores = Mapping[str, MeanScore]


def cost(now: Scores, original: Scores, target: MeanScore) -> float:
    """How far a model is from having forgotten, and from having kept the rest: 0 is best.

    The distance of the forget set's loss and CER from the target, plus the rise of the other
    parts' above the original's, all relative to the target.

    Args:
        now: mean scores of the parts by the unlearned model.
        original: the same by the original model.
        target: the forgetting target.
    """
    total = 0.0
    for figure in ("loss", "cer"):
        # Nothing is relative to an error rate of 0.
        if (wanted := getattr(target, figure)) == 0:
            continue
        total += abs(getattr(now["forget"], figure) - wanted) / wanted
        for part in now.keys() - {"forget"}:
            rise = getattr(now[part], figure) - getattr(original[part], figure)
            # Not max(0, rise), which is 0 where the rise is NaN.
            total += (0.0 if rise <= 0 else rise) / wanted
    return total if math.isfinite(total) else math.inf


def suggest(trial: optuna.Trial, searched: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Draw a value of each searched option, on a log scale where the range is wide."""
    return {
        name: trial.suggest_float(name, low, high, log=low > 0 and high / low >= LOG_SCALE_FROM)
        for name, (low, high) in searched.items()
    }


@dataclass(frozen=True)
class TuningProblem:
    """An original model, and the utterances and stop rule that a search unlearns it with."""

    task: Task
    inputs: Inputs
    given: Mapping[Part, Sequence[Utterance]]
    stop: Stop
    seed: int

    @cached_property
    def data(self) -> UnlearningData:
        return UnlearningData.of(self.task, self.given)

    @property
    def key(self) -> str:
        """A digest of everything that a trial's cost depends on but the method."""
        utterances = {part: content(own) for part, own in self.given.items()}
        model = [fingerprint(self.task.model), self.task.front_end_is_frozen]
        return digest_of([model, utterances, asdict(self.stop), self.seed])

    def scores(self) -> dict[str, MeanScore]:
        """The model's mean scores on the forget set, the unseen speakers and a retain sample.

        Without the unseen speakers where they are no classes of the model.
        """
        parts = {**self.given, "retain": sample(self.given["retain"], RETAIN_SAMPLE)}
        return {
            part: group_score(self.inputs, labelled)
            for part, utterances in parts.items()
            if (labelled := with_known_labels(self.task, utterances))
        }

    def target(self) -> MeanScore:
        """The forgetting target, by the model as it is."""
        original = OriginalScores.of(self.inputs, self.data, self.stop, target=False)
        difficulty = forget_difficulty(self.inputs, self.data, self.stop, original)
        return forgetting_target(
            group_score(self.inputs, self.data.parts["unseen"]), difficulty.ratio
        )

    def forget(self, method: Method) -> str:
        """Unlearn with the method; returns why it stopped."""
        with TemporaryDirectory() as folder:
            made = (self.inputs, method, self.data, self.stop, Path(folder), self.seed)
            return run_unlearning(*made).stopped


def tune(
    problem: TuningProblem,
    name: str,
    fixed: Mapping[str, Any],
    *,
    trials: int,
    journal: Path | str,
) -> optuna.Study:
    """Search the method's options until `trials` are complete, starting with the defaults.

    Args:
        problem: the model and the data.
        name: of the method.
        fixed: options that are not searched.
        trials: number of runs; one that diverges counts as failed.
        journal: file to which each trial is appended, so that an interrupted search continues
            with the same trials; or URL of a database, which several processes may work on at the
            same time. It may hold searches for other models, requests or seeds.

    Raises:
        InputError: the journal is not one, or there is no such database.
    """
    method = find_method(name)
    study = load_study(f"{method.name} {sorted(fixed.items())} {problem.key}", journal)
    searched = {name: span for name, span in method.search_space().items() if name not in fixed}
    original = {k: v.detach().clone() for k, v in problem.task.model.state_dict().items()}
    trainable = [p for p in problem.task.model.parameters() if p.requires_grad]
    before, target = problem.scores(), problem.target()
    defaults = make_method(name, fixed)
    first = {option: getattr(defaults, option) for option in searched}

    def restore() -> None:
        problem.task.model.load_state_dict(original)
        for parameter in trainable:
            parameter.requires_grad_(True)

    def objective(trial: optuna.Trial) -> float:
        chosen = make_method(name, {**suggest(trial, searched), **fixed})
        restore()
        trial.set_user_attr("stopped", problem.forget(chosen))
        now = problem.scores()
        for part, found in now.items():
            trial.set_user_attr(part, [round(found.loss, 4), round(found.cer or 0.0, 4)])
        return cost(now, before, target)

    try:
        while (done := len(finished(study))) < trials:
            # Not `study.optimize`, which counts an interrupted trial as failed.
            trial = study.ask()
            # In a file the number counts interrupted trials too.
            number = trial.number if is_database(journal) else done
            study.sampler = _sampler(problem.seed, number, first)
            try:
                found = objective(trial)
            except (ArithmeticError, ValueError) as error:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                logger.warning("trial %d of %d failed: %s", done + 1, trials, error)
            else:
                study.tell(trial, found)
                logger.info("trial %d of %d: cost %.3f", done + 1, trials, found)
    finally:
        restore()
    return study


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that are complete or failed."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def _sampler(seed: int, done: int, first: Mapping[str, float]) -> optuna.samplers.BaseSampler:
    """A sampler for the next trial, seeded by the number of trials before it.

    With one seed for all trials a resumed search would draw the same options again. The first
    trial has the options `first`.
    """
    own = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=own, n_startup_trials=5)
    if done:
        return sampler
    with warnings.catch_warnings():
        # It warns that its interface may change.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return PartialFixedSampler(dict(first), sampler)


def ranked(trials: Iterable[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """The complete trials, the best first."""
    complete = [t for t in trials if t.state == optuna.trial.TrialState.COMPLETE]
    return sorted(complete, key=lambda t: t.value if t.value is not None else math.inf)

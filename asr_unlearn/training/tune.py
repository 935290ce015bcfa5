"""Choose a method's options by what a person with a deletion request can measure.

Only the forget, retain and unseen parts are looked at: never the test part, never a retrained
model, which nobody has who needs unlearning.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend

from asr_unlearn.data.manifest import Utterance, content
from asr_unlearn.data.split import Part
from asr_unlearn.methods import Method
from asr_unlearn.methods.registry import find_method, make_method
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.inference import MeanScore, mean_score, score, with_known_labels
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of
from asr_unlearn.training.class_unlearning import forgets_classes, relabelled_unseen
from asr_unlearn.training.stop_rule import Stop
from asr_unlearn.training.stop_target import forget_difficulty, forgetting_target
from asr_unlearn.training.unlearn import run_unlearning

# Where retain sets are large, a sample tells as much, and a trial costs what unlearning costs.
RETAIN_SAMPLE = 240
LOG_SCALE_FROM = 10.0

Levels = Mapping[str, MeanScore]


def cost(now: Levels, original: Levels, target: MeanScore) -> float:
    """How far a model is from having forgotten, and from having kept the rest: 0 is best.

    Distance of the forget set from the target, the original's level on strangers, in loss and in
    CER, plus how much worse the retain set and the unseen speakers have become; all relative to
    that level.
    """
    total = 0.0
    for figure in ("loss", "cer"):
        # An error rate that strangers do not have is no measure.
        if (strangers := getattr(target, figure)) == 0:
            continue
        total += abs(getattr(now["forget"], figure) - strangers) / strangers
        for part in now.keys() - {"forget"}:
            rise = getattr(now[part], figure) - getattr(original[part], figure)
            # Not max(0, rise), which is 0 where the rise is not a number.
            total += (0.0 if rise <= 0 else rise) / strangers
    return total if math.isfinite(total) else math.inf


def suggest(trial: optuna.Trial, searched: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """A value of each searched option, on a log scale where the range is wide."""
    return {
        name: trial.suggest_float(name, low, high, log=low > 0 and high / low >= LOG_SCALE_FROM)
        for name, (low, high) in searched.items()
    }


@dataclass(frozen=True)
class TuningProblem:
    """An original model, its task and utterances, and what is measured on them."""

    task: Task
    inputs: Inputs
    given: Mapping[Part, Sequence[Utterance]]
    stop: Stop
    seed: int

    @property
    def basis(self) -> str:
        """Of all that a trial's figures come from, apart from the method."""
        asked = {part: content(utterances) for part, utterances in self.given.items()}
        model = [fingerprint(self.task.model), self.task.front_end_is_frozen]
        return digest_of([model, asked, asdict(self.stop), self.seed])

    def levels(self) -> dict[str, MeanScore]:
        """The model's level on the forget set, the unseen speakers and a sample of the rest.

        Without the unseen speakers, where they are classes that the model does not have.
        """
        spread = max(1, len(self.given["retain"]) // RETAIN_SAMPLE)
        parts = {**self.given, "retain": self.given["retain"][::spread]}
        return {
            part: mean_score(score(self.task, self.inputs, utterances))
            for part, asked in parts.items()
            if (utterances := with_known_labels(self.task, asked))
        }

    def target(self) -> MeanScore:
        """The level to forget down to, by the model as it is."""
        classes = forgets_classes(self.task, self.given)
        strangers = relabelled_unseen(self.given) if classes else self.given["unseen"]
        difficulty = forget_difficulty(self.inputs, self.given, self.stop)
        return forgetting_target(
            mean_score(score(self.task, self.inputs, strangers)), difficulty.ratio
        )

    def forget(self, method: Method) -> str:
        """Unlearn with the method; says why it stopped."""
        with TemporaryDirectory() as folder:
            made = (self.inputs, method, self.given, self.stop, Path(folder), self.seed)
            return run_unlearning(*made).stopped


def tune(
    bench: TuningProblem,
    name: str,
    fixed: Mapping[str, Any],
    *,
    trials: int,
    journal: Path,
) -> optuna.Study:
    """Search the method's options until `trials` are complete; the defaults are tried first.

    The journal is appended to after each trial, so that a killed search goes on where it was, and
    to the same end. What it holds of another model, request or seed is left alone. A trial that
    diverges, or whose loss is not finite, is failed and costs nothing but its time.
    """
    method = find_method(name)
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(journal))
    try:
        study = optuna.create_study(
            study_name=f"{method.name} {sorted(fixed.items())} {bench.basis}",
            storage=optuna.storages.JournalStorage(backend),
            load_if_exists=True,
        )
    # What is JSON but no entry of a journal is taken for an impossible one.
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{journal} is no journal of a search; give another --out") from error
    searched = {name: span for name, span in method.search_space().items() if name not in fixed}
    original = {k: v.detach().clone() for k, v in bench.task.model.state_dict().items()}
    trainable = [p for p in bench.task.model.parameters() if p.requires_grad]
    before, target = bench.levels(), bench.target()
    defaults = make_method(name, fixed)

    def restore() -> None:
        bench.task.model.load_state_dict(original)
        for parameter in trainable:
            parameter.requires_grad_(True)

    def objective(trial: optuna.Trial) -> float:
        chosen = make_method(name, {**suggest(trial, searched), **fixed})
        restore()
        trial.set_user_attr("stopped", bench.forget(chosen))
        now = bench.levels()
        for part, found in now.items():
            trial.set_user_attr(part, [round(found.loss, 4), round(found.cer, 4)])
        return cost(now, before, target)

    try:
        while (done := len(finished(study))) < trials:
            if not done:
                study.enqueue_trial({option: getattr(defaults, option) for option in searched})
            study.sampler = _sampler(bench.seed, done)
            # Not `study.optimize`, which counts a trial that is interrupted as failed.
            trial = study.ask()
            try:
                found = objective(trial)
            except (ArithmeticError, ValueError) as error:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                print(f"trial {done + 1} of {trials} failed: {error}", flush=True)
            else:
                study.tell(trial, found)
                print(f"trial {done + 1} of {trials}: cost {found:.3f}", flush=True)
    finally:
        restore()
    return study


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ended with a figure, or with a failure of their own."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def _sampler(seed: int, done: int) -> optuna.samplers.BaseSampler:
    """Made anew for each trial: what it draws depends on the trials before, not on interruptions.

    A sampler of one seed would draw for a search that is taken up what it had drawn before.
    """
    own = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=5)


def ranked(trials: Iterable[optuna.trial.FrozenTrial]) -> list[optuna.trial.FrozenTrial]:
    """Completed trials, the best first."""
    complete = [t for t in trials if t.state == optuna.trial.TrialState.COMPLETE]
    return sorted(complete, key=lambda t: t.value if t.value is not None else math.inf)

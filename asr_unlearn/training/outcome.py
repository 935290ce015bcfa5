"""How a run ends: with an outcome, or because it diverged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.runtime.errors import AsrUnlearnError, InputError
from asr_unlearn.training.clock import Cost, Phase


class DivergedError(AsrUnlearnError, ArithmeticError):
    """A loss, gradient or weight is not finite; the last checkpoint is unchanged."""


class NothingUnlearnedError(InputError):
    """The stop target was reached before the first step.

    Attributes:
        target: the stop target.
    """

    # What a process raises goes to its parent with the message alone.
    def __init__(self, message: str, target: MeanScore | None = None) -> None:
        super().__init__(message)
        self.target = target


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        steps: steps taken.
        kept_step: the step of the final weights, a fraction where they are interpolated.
        seconds: duration, summed over interruptions.
        stopped: why it ended, and which step is kept.
        peak_bytes: peak memory; None if unknown.
        target: of the stop rule; None without one.
        costs: of each phase; the passes are those of all processes.
        kept: figures of the retain check after unlearning.
        warning: of what was lost, or that the target was not reached.
    """

    steps: int
    kept_step: float
    seconds: float
    stopped: str
    peak_bytes: int | None
    target: MeanScore | None = None
    costs: Mapping[Phase, Cost] = field(default_factory=dict)
    kept: Mapping[str, Any] | None = None
    warning: str | None = None

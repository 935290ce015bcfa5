"""The stop rule of all methods: when enough has been forgotten."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from asr_unlearn.methods import Method
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.runtime.errors import InputError

StopOn = Literal["loss", "cer", "any", "all"]


@dataclass(frozen=True)
class StopRule:
    """Stop when the forget set's mean score reaches a target.

    Attributes:
        target: the loss and CER that the original model has on comparable unseen speakers.
        on: which of the two must reach the target. "any" stops at the first, and keeps the step
            nearest to the target in both: loss alone is not enough, since CER lags behind it.
            "all" waits for both, and does not count an overshoot as distance; it is for classes
            that must not be named any more.
        tolerance: relative slack.
        every: steps between two checks.
        figure: name of the error rate in messages; a classifier has no characters.
        interval: 95% confidence interval of the target's loss, None if unknown.

    A target CER of 0 is reached from the start and says nothing of forgetting: then "any" goes by
    the loss alone. So it does where the target has no CER.

    Raises:
        InputError: `on` is "cer" and the target's CER is 0.
    """

    target: MeanScore
    on: StopOn = "any"
    tolerance: float = 0.0
    every: int = 4
    figure: str = "CER"
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.on == "cer" and self.target.cer == 0:
            raise InputError(
                f"the unseen speakers have a {self.figure} of 0, which cannot tell when to stop: "
                "stop on loss"
            )

    def reached(self, now: MeanScore) -> str | None:
        """Which figures have reached the target, in words; None unless the run is to stop."""
        share = 1 - self.tolerance
        reached = {}
        if now.loss >= share * self.target.loss:
            reached["loss"] = f"forget loss {now.loss:.3f} reached the target {self._loss}"
        if (
            now.cer is not None
            and self.target.cer is not None
            and (now.cer >= share * self.target.cer)
        ):
            reached["cer"] = (
                f"forget {self.figure} {now.cer:.1%} reached the target {self.target.cer:.1%}"
            )
        if self.on == "any":
            return reached.get("loss") or (reached.get("cer") if self.target.cer else None)
        if self.on == "all":
            return " and ".join(reached.values()) if len(reached) == 2 else None
        return reached.get(self.on)

    @property
    def _loss(self) -> str:
        """The target's loss with its interval."""
        if self.interval is None:
            return f"{self.target.loss:.3f}"
        low, high = self.interval
        return f"{self.target.loss:.3f} (95% interval {low:.3f} to {high:.3f})"

    def distance(self, now: MeanScore) -> float:
        """The relative distance to the target in the figures of `on`, summed.

        With "all" it is only what is missing: 0 at the target and beyond. A CER that was not
        measured counts as 0: it is left out far below the target.
        """
        loss = (now.loss - self.target.loss) / max(self.target.loss, 1e-8)
        cer = 0.0
        if self.target.cer:
            cer = ((now.cer or 0.0) - self.target.cer) / self.target.cer
        if self.on == "all":
            return max(0.0, -loss) + max(0.0, -cer)
        return {"loss": abs(loss), "cer": abs(cer), "any": abs(loss) + abs(cer)}[self.on]


class Relearned(StopRule):
    """Stop when the forget set's mean loss has come down to the target's."""

    def reached(self, now: MeanScore) -> str | None:
        if now.loss > self.target.loss:
            return None
        return f"forget loss {now.loss:.3f} is down to {self.target.loss:.3f}"

    def distance(self, now: MeanScore) -> float:
        """Infinite: the number of steps is the result, and no weights are kept."""
        return float("inf")


@dataclass(frozen=True)
class Stop:
    """When an unlearning method stops (see `StopRule`).

    Attributes:
        rule: "unseen" takes the original model's score on unseen speakers as the target; "steps"
            lets the method run for its epochs.
        on: which of forget loss and CER must reach the target: "any" for the first of them, "all"
            for both; a classifier's "cer" is its error rate. By default "loss" for a method without
            a learning rate, which plans the losses up to the target, and "any" for others.
        tolerance: relative slack.
        every: steps between two checks.
        by_difficulty: correct the target for how hard the forget speakers are to recognise (see
            `stop_target`), for the stop rule and for methods with a target. Without it, or without
            retain utterances to compare them with, the target is the unseen speakers' score.
        reference_model: folder, or name on the Hub, of a recogniser that was trained neither on
            the forget nor on the unseen speakers; it measures difficulty better than the model to
            be unlearned.

    Raises:
        InputError: `every` or `tolerance` out of range.
    """

    rule: Literal["unseen", "steps"] = "unseen"
    on: StopOn | None = None
    tolerance: float = 0.05
    every: int = 4
    by_difficulty: bool = True
    reference_model: Path | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"stop.every must be 1 or more, not {self.every}")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"stop.tolerance must be from 0 to below 1, not {self.tolerance}")
        if self.reference_model and not self.by_difficulty:
            raise InputError(
                "stop.reference_model measures a difficulty that stop.by_difficulty leaves out"
            )

    def of_method(self, method: Method) -> Self:
        """The rule for a method: with its default of `on`, and its epochs if it has no target."""
        on = self.on or ("loss" if method.lr == "auto" else "any")
        return replace(self, on=on, rule=self.rule if method.stops_at_target else "steps")

    def recorded(self) -> dict[str, Any]:
        """The rule as options of a run; the reference model is recorded beside it."""
        return {name: value for name, value in asdict(self).items() if name != "reference_model"}

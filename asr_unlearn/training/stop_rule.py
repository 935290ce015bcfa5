"""The stop rule of all methods: when forgetting is over."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from asr_unlearn.models.inference import MeanScore
from asr_unlearn.runtime.errors import InputError

StopOn = Literal["loss", "cer", "both", "all"]


@dataclass(frozen=True)
class StopRule:
    """Stop when the forget set's level reaches `target`: a stranger's, to the original model.

    Loss alone is not enough: error rates lag behind it. With `on="both"` the run ends when the
    first of the two arrives, and the step nearest to the target in both is the one that is kept.
    "all" is for classes that must not be named any more: the mean loss can be a stranger's while
    one speaker's is still nothing. The run ends when both have arrived, and to go too far in one
    is not held against a step.

    Strangers of whom nothing is misheard have an error rate of 0, which everything has reached
    from the first: it says nothing of forgetting, and "both" goes by the loss alone.

    Raises:
        ValueError: to stop on an error rate that is 0 for strangers.
    """

    target: MeanScore
    on: StopOn = "both"
    tolerance: float = 0.0
    every: int = 4
    figure: str = "CER"
    """What the error rate is called; a classifier has no characters."""
    interval: tuple[float, float] | None = None
    """95%, of the target's loss: strangers are few, and single ones differ by far."""

    def __post_init__(self) -> None:
        if self.on == "cer" and self.target.cer == 0:
            raise InputError(
                f"strangers have a {self.figure} of 0, which cannot tell when to stop: stop on loss"
            )

    def reached(self, now: MeanScore) -> str | None:
        """Which of loss and CER has arrived (within the relative tolerance), if it is enough."""
        share = 1 - self.tolerance
        arrived = {}
        if now.loss >= share * self.target.loss:
            arrived["loss"] = f"forget loss {now.loss:.3f} reached a stranger's {self._loss}"
        if now.cer >= share * self.target.cer:
            arrived["cer"] = (
                f"forget {self.figure} {now.cer:.1%} reached a stranger's {self.target.cer:.1%}"
            )
        if self.on == "both":
            return arrived.get("loss") or (arrived.get("cer") if self.target.cer > 0 else None)
        if self.on == "all":
            return " and ".join(arrived.values()) if len(arrived) == 2 else None
        return arrived.get(self.on)

    @property
    def _loss(self) -> str:
        """The target's, and how well it is known."""
        if self.interval is None:
            return f"{self.target.loss:.3f}"
        low, high = self.interval
        return f"{self.target.loss:.3f} (95% interval {low:.3f} to {high:.3f})"

    def distance(self, now: MeanScore) -> float:
        """Relative distance to the target, summed over loss and CER; with "all", of what lacks."""
        loss = (now.loss - self.target.loss) / max(self.target.loss, 1e-8)
        cer = (now.cer - self.target.cer) / self.target.cer if self.target.cer > 0 else 0.0
        if self.on == "all":
            return max(0.0, -loss) + max(0.0, -cer)
        return {"loss": abs(loss), "cer": abs(cer), "both": abs(loss) + abs(cer)}[self.on]


class Relearned(StopRule):
    """Stop when the forget set is known again: its mean loss has come down to the target's."""

    def reached(self, now: MeanScore) -> str | None:
        if now.loss > self.target.loss:
            return None
        return f"forget loss {now.loss:.3f} is down to {self.target.loss:.3f}"

    def distance(self, now: MeanScore) -> float:
        """Infinite: the steps are what is asked for, and no model is kept."""
        return float("inf")


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
        reference_model: folder of a recogniser that has met neither the forget nor the unseen speakers,
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
    reference_model: Path | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"stop.every must be 1 or more, not {self.every}")
        if not 0 <= self.tolerance < 1:
            raise InputError(f"stop.tolerance must be from 0 to below 1, not {self.tolerance}")
        if self.reference_model and not self.by_difficulty:
            raise InputError(
                "stop.reference_model tells a difficulty that stop.by_difficulty leaves out"
            )

    def recorded(self) -> dict[str, Any]:
        """The rule as options of a run, where the reference_model stands beside it."""
        return {name: value for name, value in asdict(self).items() if name != "reference_model"}

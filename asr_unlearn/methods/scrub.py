"""Move away from the original on the forget set, stay with it on the retain set, rewind."""

from dataclasses import dataclass
from typing import Any, ClassVar

from asr_unlearn.methods.course import Course, Part, Step
from asr_unlearn.methods.method import Direction, Method
from asr_unlearn.methods.teacher import divergence_from, frozen_copy


@dataclass(kw_only=True)
class SCRUB(Method):
    """SCRUB with rewinding (Kurmanji et al., arXiv 2302.09880).

    Each of the first `max_epochs` epochs begins with a pass over the forget set that maximises
    T²·KL(original ‖ model); every epoch then minimises α·T²·KL(original ‖ model) + γ·ℓ over
    the retain set. The model is measured when an epoch ends, and rewound to the end whose forget
    set is nearest to the unseen speakers.

    Attributes:
        max_epochs: epochs with a maximising pass.
        alpha, gamma: shares of the divergence and of the loss on the retain set.
        temperature: T, softens both distributions.
    """

    name: ClassVar[str] = "scrub"
    paper: ClassVar[str] = "arXiv 2302.09880"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: float = 5e-4
    epochs: float = 4.0
    clip: float = 1.0
    retain_batch: int = 16
    max_epochs: int = 3
    alpha: float = 0.1
    gamma: float = 0.9
    temperature: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.demand("0 or more", "max_epochs", "alpha", "gamma")
        self.demand("above 0", "temperature")

    def pace(self, streams: Any) -> int:
        self._maximising = streams["forget"].steps_per_epoch
        return int(self._maximising + streams["retain"].steps_per_epoch)

    def is_measured(self, steps: int, course: Course, every: int) -> bool:
        return steps % course.pace == 0

    def begin(self, course: Course) -> None:
        original = frozen_copy(course.task)
        self._from_original = divergence_from(original, course.task, self.temperature)

    def direction(self, step: Step) -> Direction:
        position = step.number % step.course.pace
        if step.epoch < self.max_epochs and position < self._maximising:
            away, values = step.gradient(step.forget, losses=self._from_original)
            return Direction({name: -g for name, g in away.items()}, {"forget": values})
        stay, _ = step.gradient(step.retain, losses=self._from_original)
        down, values = step.gradient(step.retain)
        gradient = {name: self.alpha * stay[name] + self.gamma * down[name] for name in stay}
        return Direction(gradient, {"retain": values})

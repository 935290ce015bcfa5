"""What a method is: a rule that turns batches of forget and retain utterances into a gradient."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.data.batching import BatchSource
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError

Span = Literal["above 0", "0 or more", "from 0 to 1", "from 0 to below 1"]
SPANS: dict[Span, Callable[[float], bool]] = {
    "above 0": lambda value: value > 0,
    "0 or more": lambda value: value >= 0,
    "from 0 to 1": lambda value: 0 <= value <= 1,
    "from 0 to below 1": lambda value: 0 <= value < 1,
}


@dataclass(frozen=True)
class Direction:
    """What to descend along, by parameter name, the per-utterance losses it came from, and what
    else of the step goes into the log."""

    gradient: Gradient
    losses: Mapping[Part, Float[Tensor, " _"]]
    logged: Mapping[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class Method(ABC):
    """A rule for one step, its options, and the optimizer that takes the step.

    A new method is one file with a subclass; its fields are its options.

    Attributes:
        lr: learning rate at its highest.
        warmup: share of the steps over which it rises linearly from 0.
        final_lr: what is left of it at the last step, as a share; it falls linearly.
        epochs: passes over the part that paces the method; the stop rule may end it sooner.
        clip: largest gradient norm, 0 for none.
        forget_batch, retain_batch: utterances a step.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[Part, ...]]
    epoch_part: ClassVar[Part] = "forget"
    trains: ClassVar[bool] = False
    """Whether dropout and SpecAugment are on; off, gradients are those of the saved model."""

    lr: float
    warmup: float = 0.0
    final_lr: float = 0.1
    epochs: float = 10.0
    clip: float = 0.0
    forget_batch: int = 8
    retain_batch: int = 8

    def __post_init__(self) -> None:
        self.demand("above 0", "lr", "epochs", "forget_batch", "retain_batch")
        self.demand("from 0 to 1", "warmup", "final_lr")
        self.demand("0 or more", "clip")

    def demand(self, span: Span, *options: str) -> None:
        """Raises ValueError, naming it, for an option outside its span; for `__post_init__`.

        No option may be infinite.
        """
        for option in options:
            if not SPANS[span](value := getattr(self, option)):
                raise InputError(f"{self.name}: {option} must be {span}, not {value}")
            if not math.isfinite(value):
                raise InputError(f"{self.name}: {option} must be finite, not {value}")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        """Options that `asr-unlearn tune` searches, with their lowest and highest values."""
        defaults: dict[str, Any] = {option.name: option.default for option in fields(cls)}
        return {"lr": (defaults["lr"] / 10, defaults["lr"] * 10)}

    def freeze_parameters(self, task: Task) -> None:  # noqa: B027 - most methods move what is trainable
        """Freeze what the method leaves alone, before anything else is done."""

    def steps_per_epoch(self, sources: Mapping[Part, BatchSource]) -> int:
        """Steps an epoch."""
        return sources[self.epoch_part].steps_per_epoch

    def steps(self, sources: Mapping[Part, BatchSource]) -> int:
        """Steps of a whole run."""
        return max(1, round(self.epochs * self.steps_per_epoch(sources)))

    def epoch(self, steps: int, context: TrainingContext) -> float:
        """How many epochs that many steps are."""
        return steps / context.steps_per_epoch

    def max_norm(self, step: Step) -> float:
        """What the gradient of this step is clipped to."""
        return self.clip or math.inf

    def prepare(self, context: TrainingContext) -> None:  # noqa: B027 - some need nothing from the original
        """Look at the original model before the first step.

        Called again, on the original, when a killed run is taken up: what is found here need not
        be kept in `state_dict`, and must not depend on the generators.
        """

    @abstractmethod
    def direction(self, step: Step) -> Direction:
        """The direction to descend along at this step."""

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW unless the method is particular about the step that is really taken."""
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=0.0)

    def rate(self, step: int, total: int) -> float:
        """Share of `lr` at a step: linear rise over `warmup`, linear fall to `final_lr`."""
        rise = max(1, round(self.warmup * total)) if self.warmup > 0 else 0
        if step < rise:
            return (step + 1) / rise
        return 1 - (1 - self.final_lr) * (step - rise) / max(1, total - rise)

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        """Whether the stop rule looks at the model after that many steps."""
        return steps % every == 0

    def after_step(self, step: Step) -> None:  # noqa: B027 - most leave the optimizer's step as it is
        """Change the model once the optimizer has taken its step."""

    def state_dict(self) -> dict[str, Any]:
        """What the method carries from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what a killed run had carried."""
        if state:
            raise InputError(f"{self.name} carries no state, but the checkpoint holds {set(state)}")

    def batch_size(self, part: Part) -> int:
        return self.retain_batch if part == "retain" else self.forget_batch

    def batches_per_step(self, part: Part) -> int:
        """How many batches are drawn at once; several come as `MicroBatches`."""
        return 1

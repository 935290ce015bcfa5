"""What a method is: a rule that turns batches of forget and retain utterances into a gradient."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import nn

from asr_unlearn.batching import Batch
from asr_unlearn.gradients import Gradient, Losses, MicroBatches

Part = Literal["forget", "retain"]
Batches = Batch | MicroBatches[Batch]


class BatchesByStep(Protocol):
    """The endless sequence of batches of one part."""

    def __getitem__(self, step: int, /) -> Batch: ...


@dataclass(frozen=True)
class Direction:
    """What to descend along, by parameter name, and the batch losses it came from."""

    gradient: Gradient
    losses: Mapping[Part, float]


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
    paced_by: ClassVar[Part] = "forget"
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
        for option in ("lr", "epochs", "forget_batch", "retain_batch"):
            if not getattr(self, option) > 0:
                raise ValueError(f"{self.name}: {option} must be above 0")

    def begin(  # noqa: B027 - a method that needs nothing from the original leaves it out
        self, model: nn.Module, losses: Losses[Batch], streams: Mapping[Part, BatchesByStep]
    ) -> None:
        """Look at the original model before the first step; not called when a run is resumed.

        What is kept from it belongs into `state_dict`. A stream's batches are found by step.
        """

    @abstractmethod
    def direction(
        self, model: nn.Module, losses: Losses[Batch], batches: Mapping[Part, Batches]
    ) -> Direction:
        """The direction to descend along at this step."""

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW unless the method is particular about the step that is really taken."""
        return torch.optim.AdamW(parameters, lr=self.lr, weight_decay=0.0)

    def state_dict(self) -> dict[str, Any]:
        """What the method carries from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what a killed run had carried."""
        if state:
            raise ValueError(f"{self.name} carries no state, but the checkpoint holds {set(state)}")

    def batch_size(self, part: Part) -> int:
        return self.forget_batch if part == "forget" else self.retain_batch

    def batches_a_step(self, part: Part) -> int:
        """How many batches `direction` gets; several come as `MicroBatches`."""
        return 1

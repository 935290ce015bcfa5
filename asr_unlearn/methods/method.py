"""The base class of all methods: it turns batches of forget and retain utterances into a step."""

import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import Any, ClassVar

import torch
from torch import nn

from asr_unlearn.data.batching import BatchSource
from asr_unlearn.data.split import Part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction, Loss, Penalty, Term
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Rate, Share, ranges
from asr_unlearn.methods.sharpness import sharpness_aware
from asr_unlearn.methods.step_length import StepLength, of_the_same_rank
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError


# ABC, as jsonargparse allows no subclasses of a class whose bases are all dataclasses.
@dataclass(kw_only=True)
class Method(ABC):
    """One rule for a training step, its options, and its optimizer.

    A new method is one file with a subclass. Its fields are its options; numbers are annotated
    with a range of `option_types`. It defines `loss`, or `direction` where a step is not the
    gradient of a loss.

    Attributes:
        lr: highest learning rate; or "auto", each step as long as its predicted rise of the
            forget losses needs (see `step_length`).
        warmup: share of the steps over which the learning rate rises linearly from 0.
        final_lr: learning rate of the last step, as a share of `lr`; it falls linearly.
        epochs: at most so many passes over `epoch_part`, without a learning rate over the forget
            set; early stopping may end the run sooner.
        clip: largest gradient norm, 0 for no clipping.
        forget_batch: forget utterances a step.
        retain_batch: retain utterances a step.
        project: take steps whose forget part is orthogonal to the gradient of every utterance of a
            retain batch, as those of orthograd, by plain SGD in its metric and without clipping.
        sam: ρ of sharpness-aware minimisation of the forget part of the loss, against relearning: a
            distance in weights; 0 for none.

    Raises:
        InputError: an option is outside its range.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    needs: ClassVar[tuple[Part, ...]]
    epoch_part: ClassVar[Part] = "forget"
    """The part that one epoch is a pass over."""
    trains: ClassVar[bool] = False
    """Whether dropout and SpecAugment are on; off, gradients are those of the saved model."""
    needs_base: ClassVar[bool] = False
    """Whether it needs the model that the original was fine-tuned from (see `context.base`)."""
    stops_at_target: ClassVar[bool] = True
    """Whether the stop rule may end a run; otherwise it takes all its epochs."""
    projectable: ClassVar[bool] = True
    """Whether a step may move along any direction."""
    shardable: ClassVar[bool] = False
    """Whether a process with a part of every gradient can take a step: nothing that the method
    itself computes may go over all weights, and no other model is used."""

    lr: Rate
    warmup: Share = 0.0
    final_lr: Share = 0.1
    epochs: Positive = 10.0
    clip: NonNegative = 0.0
    forget_batch: PositiveInt = 8
    retain_batch: PositiveInt = 8
    project: bool = False
    sam: NonNegative = 0.0

    def __post_init__(self) -> None:
        if type(self).loss is Method.loss and type(self).direction is Method.direction:
            raise TypeError(f"{self.name} defines neither `loss` nor `direction`")
        for option, allowed in ranges(type(self)).items():
            value = getattr(self, option)
            if value not in allowed:
                raise InputError(f"{self.name}: {option} must be {allowed}, not {value}")
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{self.name}: {option} must be finite, not {value}")
        forgets_by_loss = "forget" in self.needs and type(self).loss is not Method.loss
        if self.project and not (self.projectable and forgets_by_loss):
            raise InputError(
                f"{self.name}: project is for methods whose step descends a loss on the forget "
                "set with all weights; this one's does not, or is projected already"
            )
        if self.sam and not forgets_by_loss:
            raise InputError(f"{self.name}: sam is for methods with a loss on the forget set")

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        """Options that `asr-unlearn tune` searches, with their lowest and highest values."""
        defaults: dict[str, Any] = {option.name: option.default for option in fields(cls)}
        if defaults["lr"] == "auto":
            return {"epochs": (defaults["epochs"] / 2, defaults["epochs"] * 2)}
        return {"lr": (defaults["lr"] / 10, defaults["lr"] * 10)}

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that a run draws batches of."""
        lacking: tuple[Part, ...] = ("retain",)
        return self.needs if not self.project or "retain" in self.needs else self.needs + lacking

    @property
    def highest_rate(self) -> float:
        """The learning rate that `rate` is a share of; 1 where steps are scaled afterwards."""
        return 1.0 if self.lr == "auto" else self.lr

    def forget_targets(self, context: TrainingContext) -> dict[str, float]:
        """The loss that each forget utterance is to have, by id, for steps without learning rate.

        All together they have the distribution of the unseen losses, and the order that the
        original model's losses have.
        """
        unseen = [context.difficulty * loss for loss in context.original_losses("unseen").values()]
        return of_the_same_rank(context.original_losses("forget"), unseen)

    def step_length(self, context: TrainingContext) -> StepLength | None:
        """What chooses the length of steps without a learning rate; None with one."""
        if self.lr != "auto":
            return None
        epochs = context.total / context.sources["forget"].steps_per_epoch
        original, targets = context.original_losses("forget"), self.forget_targets(context)
        return StepLength(original, targets, epochs)

    def freeze_parameters(self, task: Task) -> None:  # noqa: B027 - a hook
        """Freeze the parameters that the method leaves alone; called first of all."""

    def steps_per_epoch(self, sources: Mapping[Part, BatchSource]) -> int:
        """Steps an epoch: a pass over `epoch_part`, where steps are planned over the forget set."""
        return sources["forget" if self.lr == "auto" else self.epoch_part].steps_per_epoch

    def steps(self, sources: Mapping[Part, BatchSource]) -> int:
        """Steps of a whole run."""
        return max(1, round(self.epochs * self.steps_per_epoch(sources)))

    def epoch(self, steps: int, context: TrainingContext) -> float:
        """How many epochs that many steps are."""
        return steps / context.steps_per_epoch

    def max_norm(self, step: Step) -> float:
        """What the gradient of this step is clipped to."""
        return self.clip or math.inf

    def prepare(self, context: TrainingContext) -> None:  # noqa: B027 - a hook
        """Compute what the method needs of the original model, before the first step.

        Called again, on the original, when an interrupted run is resumed: the results need not be
        in `state_dict`, and must not depend on the random generators.
        """

    def loss(self, step: Step) -> Loss:
        """The loss that this step descends."""
        raise NotImplementedError

    def direction(self, step: Step) -> Direction:
        """What this step descends along: the gradient of `loss`, unless a method overrides it."""
        return reduce(add, (self._of(term, step) for term in self.loss(step)))

    def _of(self, term: Term | Penalty, step: Step) -> Direction:
        if self.sam and isinstance(term, Term) and term.part == "forget":
            return sharpness_aware(step, term, self.sam)
        return term.direction(step)

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer of a run: AdamW without weight decay, unless a method overrides it."""
        return torch.optim.AdamW(parameters, lr=self.highest_rate, weight_decay=0.0)

    def rate(self, step: int, total: int) -> float:
        """Share of `lr` at a step: linear rise over `warmup`, linear fall to `final_lr`."""
        if self.lr == "auto":
            return 1.0
        rise = max(1, round(self.warmup * total)) if self.warmup > 0 else 0
        if step < rise:
            return (step + 1) / rise
        return 1 - (1 - self.final_lr) * (step - rise) / max(1, total - rise)

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        """Whether early stopping checks the model after that many steps.

        Without a learning rate, once an epoch of the forget set: the steps are planned.
        """
        if self.lr == "auto":
            return steps % context.sources["forget"].steps_per_epoch == 0
        return steps % every == 0

    def after_step(self, step: Step) -> None:  # noqa: B027 - a hook
        """Change the model after the optimizer's step."""

    def state_dict(self) -> dict[str, Any]:
        """What the method carries from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if state:
            raise InputError(f"{self.name} carries no state, but the checkpoint holds {set(state)}")

    def batch_size(self, part: Part) -> int:
        """Utterances of a part's batch."""
        return self.retain_batch if part in ("retain", "train") else self.forget_batch

    def batches_per_step(self, part: Part) -> int:
        """How many batches of a part a step draws at once; several come as `MicroBatches`."""
        return 1

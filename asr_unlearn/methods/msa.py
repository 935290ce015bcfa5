"""Subtract what fine-tuning on the forget set adds to the model before fine-tuning."""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar

import torch
from torch import nn

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, copied
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction, Term
from asr_unlearn.methods.finetune import Finetune
from asr_unlearn.methods.method import Method
from asr_unlearn.methods.option_types import NonNegative, Positive, PositiveInt, Share
from asr_unlearn.methods.temporary_weights import weights_set_to


@dataclass(kw_only=True)
class MSA(Method):
    """Model state arithmetic (MSA; arXiv 2506.20941): θ − α·(F − B) + β·(R − B).

    B is the base model that θ was fine-tuned from, F are its weights after fine-tuning on the
    forget set alone, R after as many steps on batches of the retain set. What both learn, such as
    the style of the corpus, partly cancels, so that the speakers alone are subtracted. The options
    of AdamW are to be those that the model was fine-tuned with; there is no weight decay.

    Deviation: F and R are trained as far as the stop rule needs, with constant α and β, where the
    paper trains them to the end.

    The log has the losses of F and R as they are trained.

    Attributes:
        alpha: α, of the task vector of the forget set.
        beta: β, of the task vector of the retain set; 0 for none, which needs no retain data.
    """

    name: ClassVar[str] = "msa"
    paper: ClassVar[str] = "arXiv 2506.20941"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")
    needs_base: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    lr: Positive = 3e-5
    warmup: Share = 0.1
    final_lr: Share = 0.02
    epochs: Positive = 4.0
    clip: NonNegative = 1.0
    forget_batch: PositiveInt = 16
    alpha: Positive = 1.0
    beta: NonNegative = 0.5

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.5, 2.0), "beta": (0.0, 1.0)}

    @property
    def parts(self) -> tuple[Part, ...]:
        return super().parts if self.beta else ("forget",)

    def prepare(self, context: TrainingContext) -> None:
        shares: dict[Part, float] = {"forget": self.alpha, "retain": -self.beta}
        self._vectors = {
            part: TaskVector(part, share, context.base, self.clip or math.inf)
            for part, share in shares.items()
            if share
        }

    def direction(self, step: Step) -> Direction:
        rate = self.lr * self.rate(step.number, step.context.total)
        return reduce(add, (vector.grow(step, rate) for vector in self._vectors.values()))

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        # The steps of AdamW are those of the task vectors.
        return torch.optim.SGD(parameters, lr=self.lr)

    def max_norm(self, step: Step) -> float:
        return math.inf

    def is_checked(self, steps: int, context: TrainingContext, every: int) -> bool:
        return steps % context.steps_per_epoch == 0

    def state_dict(self) -> dict[str, Any]:
        return {part: vector.state_dict() for part, vector in self._vectors.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for part, vector in self._vectors.items():
            vector.load_state_dict(state[part])


class TaskVector:
    """What fine-tuning on a part adds to the base, step by step.

    Args:
        part: to fine-tune on.
        share: of the vector that is subtracted from the model.
        base: the weights to start from, by parameter name.
        clip: largest norm of a gradient.
    """

    def __init__(self, part: Part, share: float, base: Gradient, clip: float) -> None:
        self.part, self.share, self.base, self.clip = part, share, base, clip
        self.vector = {name: nn.Parameter(torch.zeros_like(w)) for name, w in base.items()}
        # Its rate is set before each step.
        self.optimizer = Finetune(weight_decay=0.0).optimizer(list(self.vector.values()))

    def grow(self, step: Step, rate: float) -> Direction:
        """Take one step of fine-tuning.

        Returns:
            What a step of that rate descends along to subtract the vector's growth times `share`,
            with the losses before the growth.
        """
        before = copied(self.vector)
        with weights_set_to(step.model, {name: w + before[name] for name, w in self.base.items()}):
            found = Term(self.part).direction(step)
        for name, numbers in self.vector.items():
            numbers.grad = found.gradient[name]
        nn.utils.clip_grad_norm_(self.vector.values(), self.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        scale = self.share / rate
        growth = {name: scale * (v.detach() - before[name]) for name, v in self.vector.items()}
        return Direction(growth, found.losses)

    def state_dict(self) -> dict[str, Any]:
        """The vector and the optimizer's moments."""
        vector = {name: v.detach() for name, v in self.vector.items()}
        return {"vector": vector, "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        with torch.no_grad():
            for name, v in self.vector.items():
                v.copy_(state["vector"][name])
        self.optimizer.load_state_dict(state["optimizer"])

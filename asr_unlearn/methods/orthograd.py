"""Ascent on the forget set, orthogonal to the gradient of every retain utterance."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypedDict

import torch
from torch import Tensor, nn

from asr_unlearn.data.split import Part
from asr_unlearn.gradients import (
    Gradient,
    Metric,
    MicroBatches,
    OrthogonalStep,
    PoolStep,
    Scope,
    Weights,
    pool_step,
    streaming_step,
    trainable_parameters,
)
from asr_unlearn.gradients.cgls import TOLERANCE
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.method import Ascent, Direction, Method
from asr_unlearn.methods.option_types import NonNegativeInt, Positive, PositiveInt, Rate, Share
from asr_unlearn.runtime.errors import InputError


class _StepOptions(TypedDict):
    forget_weights: Weights | None
    scope: Scope
    metric: Metric | None


@dataclass(kw_only=True)
class OrthoGrad(Method):
    """OrthoGrad (Shamsian et al., arXiv 2503.02312): ascend orthogonally to the retain gradients.

    Descends α·ḡ_R − (1 − α)·u⊥, where u⊥ is the mean forget gradient less its projection onto the
    span of the retain batch's per-utterance gradients. With α = 0 each step leaves every retain
    loss of the batch unchanged to first order.

    Deviation: the authors' code projects each parameter tensor by itself (`scope` "tensor"); the
    default, "global", is what the paper says. The paper passes the direction to any optimizer, but
    an optimizer that rescales coordinates or has momentum takes a step that is not orthogonal. Here
    the optimizer is plain SGD, and the rescaling is part of the projection: with a metric D the
    direction is α·D⁻¹ḡ_R − (1 − α)·Δ, where the step Δ itself satisfies gᵢᵀΔ = 0.

    Attributes:
        alpha: α, share of the descent on the retain batch.
        scope: "global" projects the whole gradient, "tensor" each parameter by itself.
        metric: "euclidean"; "adam", D = √v with v an exponential mean of squared gradients;
            "fisher", D = F/mean(F) + damping with F the retain set's diagonal Fisher information
            at the start; or "adam_fisher", D = √(max(v, this step's squares) + F). Learning rates
            are those of Adam for "adam" and "adam_fisher", those of SGD for the others.
        decay: decay rate of v.
        damping: smallest D, for "fisher".
        fisher_batches: number of retain batches that F is computed on.
        retain_pool: number of retain utterances that the step is orthogonal to, by conjugate
            gradients over batches of `retain_batch`; 0 for one batch.
    """

    name: ClassVar[str] = "orthograd"
    paper: ClassVar[str] = "arXiv 2503.02312"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain")

    lr: Rate = 1e-3
    warmup: Share = 0.1
    epochs: Positive = 24.0
    retain_batch: PositiveInt = 16
    alpha: Share = 0.7
    scope: Scope = "global"
    metric: Literal["euclidean", "adam", "fisher", "adam_fisher"] = "adam_fisher"
    decay: Share = 0.95
    damping: Positive = 0.1
    fisher_batches: PositiveInt = 16
    retain_pool: NonNegativeInt = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._retain: Gradient = {}
        self._second_moment: Gradient = {}
        self._squares: Gradient = {}
        self._fisher: Gradient = {}
        self._check_optimizer([nn.Parameter(torch.zeros(1))])

    def _check_optimizer(self, parameters: list[nn.Parameter]) -> None:
        """Raises InputError where a subclass's optimizer would change the projected step."""
        optimizer = self.optimizer(parameters)
        settings = ("momentum", "weight_decay", "maximize")
        changed = [key for key in settings if any(g.get(key) for g in optimizer.param_groups)]
        stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if stepped != set(map(id, parameters)):
            changed.append("of some parameters only")
        if type(optimizer) is not torch.optim.SGD or changed:
            what = f"{type(optimizer).__name__} {' and '.join(changed)}".rstrip()
            raise InputError(
                f"{self.name}: {what} would not take the step that is orthogonal to the retain "
                "gradients; use torch.optim.SGD of all parameters, in each group without momentum, "
                "weight decay or maximize (metric=adam rescales the step within the projection)"
            )

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "alpha": (0.1, 0.9)}

    def optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.highest_rate)

    def batches_per_step(self, part: Part) -> int:
        pooled = part == "retain" and self.retain_pool > self.retain_batch
        return -(-self.retain_pool // self.retain_batch) if pooled else 1

    def prepare(self, context: TrainingContext) -> None:
        # An optimizer's groups may depend on the model's parameters.
        self._check_optimizer(list(trainable_parameters(context.model).values()))
        if self._adapts:
            self._retain, _ = context.gradient(context.sources["retain"][0])
        if self.metric == "adam_fisher":
            self._fisher = context.fisher("retain", self.fisher_batches)
        if self.metric == "fisher":
            fisher = context.fisher("retain", self.fisher_batches)
            total = sum(float(f.sum()) for f in fisher.values())
            mean = total / sum(f.numel() for f in fisher.values())
            self._fisher = {name: f / mean + self.damping for name, f in fisher.items()}

    def forget_weights(self, step: Step) -> Weights | None:
        """The weight of each forget utterance's gradient in u; None for the mean."""
        return None

    def direction(self, step: Step) -> Direction:
        found = self._orthogonal_step(step)
        if self._adapts:
            self._retain = found.retain
        return self._with_ascent(self._combined(found, found.retain), found, step)

    def _combined(self, found: OrthogonalStep, retain: Gradient) -> Direction:
        """α·D⁻¹·retain − (1 − α)·Δ."""
        metric = self._metric()
        gradient = {}
        for name, orthogonal in found.orthogonal.items():
            descent = retain[name] / metric[name] if metric else retain[name]
            gradient[name] = self.alpha * descent - (1 - self.alpha) * orthogonal
        losses: dict[Part, Tensor] = {"forget": found.forget_losses, "retain": found.retain_losses}
        return Direction(gradient, losses, _residual(found))

    def _with_ascent(self, made: Direction, found: OrthogonalStep, step: Step) -> Direction:
        if self.lr != "auto":
            return made
        descent = {name: -u for name, u in found.forget.items()}
        return replace(made, ascent=Ascent(descent, self.forget_weights(step)))

    def _orthogonal_step(self, step: Step) -> OrthogonalStep:
        options: _StepOptions = {
            "forget_weights": self.forget_weights(step),
            "scope": self.scope,
            "metric": self._root_mean_square if self._adapts else self._metric() or None,
        }
        model, losses, group = step.model, step.context.task.losses, step.context.group
        forget, retain = step.batch("forget"), step.batch("retain")
        if not isinstance(retain, MicroBatches):
            return streaming_step(model, losses, forget, retain, group=group, **options)
        if group is not None:
            raise InputError(f"{self.name}: retain_pool needs one process; use a larger batch")
        if isinstance(forget, MicroBatches):
            raise InputError("the forget batch of a step with a retain pool is one batch")
        return pool_step(model, losses, forget, retain.pieces, **options)

    @property
    def _adapts(self) -> bool:
        """Whether D depends on the gradients of earlier steps."""
        return self.metric in ("adam", "adam_fisher")

    def _root_mean_square(self, forget: Gradient) -> Gradient:
        """D, after this step's forget gradient and the last retain gradient are added to v.

        If v did not include the gradient that it divides, a sudden large gradient would give an
        unbounded step. The retain gradient is the previous step's: this step's is known only after
        the projection, and it is small.
        """
        for name, u in forget.items():
            square = 0.5 * (u**2 + self._retain[name] ** 2)
            self._squares[name] = square
            if name in self._second_moment:
                self._second_moment[name].lerp_(square, 1 - self.decay)
            else:
                self._second_moment[name] = square.clone()
        return self._metric()

    def _metric(self) -> Gradient:
        """The current D, empty for the Euclidean metric.

        D is positive also where no loss reaches a parameter, which then does not change.

        F is added to v because v is too small where the retain gradients cancel in their mean: the
        correction Gᵀc is a combination of single gradients, and would be huge when divided by √v.
        """
        if not self._adapts:
            return self._fisher
        return {name: self._mean_square(name).sqrt() + 1e-8 for name in self._second_moment}

    def _mean_square(self, name: str) -> Tensor:
        moment = self._second_moment[name]
        if self.metric == "adam":
            return moment
        return torch.maximum(moment, self._squares[name]) + self._fisher[name]

    def state_dict(self) -> dict[str, Any]:
        return {"retain": self._retain, "second_moment": self._second_moment}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._retain = state["retain"]
        self._second_moment = state["second_moment"]


def _residual(found: OrthogonalStep) -> dict[str, float]:
    """The residual and the iterations of a pool step, for the log; warns of a large residual."""
    if not isinstance(found, PoolStep):
        return {}
    if found.residual > TOLERANCE:
        warnings.warn(
            f"after {found.iterations} iterations the step is orthogonal to the retain pool to "
            f"{found.residual:.1e} only, not to {TOLERANCE:.0e}; metrics.jsonl has every step's "
            "residual. A smaller retain_pool, or another metric, needs fewer iterations",
            stacklevel=2,
        )
    return {"residual": found.residual, "iterations": found.iterations}

"""What a step descends along, and the terms of a loss that it comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, Losses, Weights, trainable_parameters
from asr_unlearn.gradients.types import resolve_weights
from asr_unlearn.methods.context import Step


@dataclass(frozen=True)
class Ascent:
    """The part of a step that raises the forget losses.

    Attributes:
        descent: −u, u the gradient of Σ wᵢ ℓᵢ over the forget batch.
        weights: w, or a function of the losses that gives them; None for the mean.
        scale: u has these weights times this.
    """

    descent: Gradient
    weights: Weights | None
    scale: float = 1.0

    def scaled_weights(self, losses: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
        """The weights times the scale, from the losses of the utterances of all processes."""
        return self.scale * resolve_weights(self.weights, losses)


@dataclass(frozen=True)
class Direction:
    """What a step descends along.

    Attributes:
        gradient: by parameter name.
        losses: the losses of the utterances in it, by part; the log has their means.
        logged: further figures for the log.
        ascent: what raises the forget losses; None where nothing does.
        forget: the summands of the gradient that come from forget utterances; None without any.
    """

    gradient: Gradient
    losses: Mapping[Part, Float[Tensor, " _"]]
    logged: Mapping[str, float] = field(default_factory=dict)
    ascent: "Ascent | None" = None
    forget: Gradient | None = None

    def __add__(self, other: "Direction") -> "Direction":
        return Direction(
            _sum(self.gradient, other.gradient),
            {**self.losses, **other.losses},
            {**self.logged, **other.logged},
            self.ascent or other.ascent,
            _sum(self.forget, other.forget)
            if self.forget and other.forget
            else self.forget or other.forget,
        )

    def masked(self, mask: Mapping[str, Tensor]) -> "Direction":
        """The same with the gradient times a mask, by parameter name."""
        gradient = {n: g * mask[n] for n, g in self.gradient.items()}
        return replace(self, gradient=gradient, forget=None)


def _sum(one: Gradient, other: Gradient) -> Gradient:
    return {name: g + other[name] for name, g in one.items()}


@dataclass(frozen=True)
class Term:
    """A summand of a step's loss: coefficient · Σ wᵢ ℓᵢ over the batch of a part.

    Attributes:
        part: whose batch.
        coefficient: of the sum; negative to ascend.
        losses: ℓ, one differentiable loss per utterance; the task's own by default.
        weights: w, or a function of the detached losses that gives them; 1/B by default.
        logged: whether the losses go into the log.
    """

    part: Part
    coefficient: float = 1.0
    losses: Losses[Batch] | None = None
    weights: Weights | None = None
    logged: bool = True

    def direction(self, step: Step) -> Direction:
        gradient, losses = step.context.gradient(step.batch(self.part), self.weights, self.losses)
        scaled = {name: self.coefficient * g for name, g in gradient.items()}
        raises = self.part == "forget" and self.losses is None
        ascent = Ascent(scaled, self.weights, -self.coefficient) if raises else None
        forget = scaled if self.part == "forget" else None
        logged: dict[Part, Tensor] = {self.part: losses} if self.logged else {}
        return Direction(scaled, logged, ascent=ascent, forget=forget)


@dataclass(frozen=True)
class Penalty:
    """A summand of a step's loss that depends on the parameters alone.

    Attributes:
        derivative: gives the penalty's derivative, from a parameter's name and its value.
    """

    derivative: Callable[[str, Tensor], Tensor]

    def direction(self, step: Step) -> Direction:
        parameters = trainable_parameters(step.model)
        return Direction({n: self.derivative(n, p.detach()) for n, p in parameters.items()}, {})


Loss = Sequence[Term | Penalty]
"""The summands of a step's loss."""

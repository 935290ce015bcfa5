"""Types that the gradient engines take and return."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.runtime.errors import InputError

Batch = TypeVar("Batch")

Gradient = dict[str, Tensor]
"""A tensor of the parameter's shape for the name of every trainable parameter."""

Losses = Callable[[Batch], Float[Tensor, "B"]]
"""Gives one differentiable loss per utterance of a batch, which may be of any type."""


@dataclass(frozen=True)
class MicroBatches(Generic[Batch]):
    """One batch in pieces, for which a pass over all of it would need too much memory."""

    pieces: Sequence[Batch]


def pieces_of(batch: Batch | MicroBatches[Batch]) -> Sequence[Batch]:
    """The batches that are run one after the other."""
    return batch.pieces if isinstance(batch, MicroBatches) else [batch]


Weights = Float[Tensor, "B"] | Callable[[Float[Tensor, "B"]], Float[Tensor, "B"]]
"""One weight per utterance, or a function of the detached losses that gives them."""


def resolve_weights(weights: Weights | None, losses: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
    """Weights as a vector on the losses' device; None is the mean.

    Raises:
        InputError: not one weight per utterance.
    """
    if weights is None:
        return torch.full_like(losses, 1 / len(losses))
    values = weights(losses) if callable(weights) else weights
    if values.shape != losses.shape:
        raise InputError(f"{tuple(values.shape)} weights for {len(losses)} utterances")
    return values.detach().to(losses)


Metric = Gradient | Callable[[Gradient], Gradient]
"""The positive diagonal D by parameter name, or a function of the forget gradient u that gives it.

A step that is divided by its own size, as Adam's is, stays bounded when u grows suddenly."""


@dataclass(frozen=True)
class Rises:
    """What a step is to change, to first order: functions of the losses of this process.

    Attributes:
        forget: ρ, the rise of Σ wᵢ ℓᵢ over the forget batch; the same for all processes.
        retain: r, the rise of each retain loss.
    """

    forget: Callable[[Float[Tensor, "F"]], float]
    retain: Callable[[Float[Tensor, "B"]], Float[Tensor, "B"]]


Scope = Literal["global", "tensor"]
"""Project the whole flattened gradient, or each parameter tensor by itself."""


def check_scope(rises: Rises | None, scope: Scope) -> None:
    """Raises InputError for rises with the scope "tensor", where each tensor would give them."""
    if rises is not None and scope != "global":
        raise InputError('a step with prescribed rises needs the scope "global"')


@dataclass(frozen=True)
class OrthogonalStep:
    """A forget gradient and its part orthogonal to every retain utterance's gradient.

    G has the retain gradients gᵢ as rows, D is the metric (ones for the Euclidean one), and c
    solves (G D⁻¹ Gᵀ) c = G D⁻¹ u. Then Δ = D⁻¹ (u − Gᵀ c), and gᵢᵀ Δ = 0 for each i. Under the
    scope "tensor" this holds for each parameter tensor by itself.

    With prescribed `Rises` the step is Δ = D⁻¹ (s·u − Gᵀ c) instead, of all with gᵢᵀ Δ = rᵢ and
    uᵀ Δ = ρ the smallest in the norm of D.
    """

    forget: Gradient
    """u = Σ wᵢ gᵢ over the forget batch."""
    orthogonal: Gradient
    """Δ; D⁻¹ is already applied."""
    retain: Gradient
    """Mean of gᵢ over the retain batch, not preconditioned."""
    forget_losses: Float[Tensor, "F"]
    retain_losses: Float[Tensor, "B"]
    kept: float
    """‖u − Gᵀc‖ / ‖u‖ in the norm of D⁻¹, of the orthogonal step: 1 when nothing was removed."""
    rank: dict[str, int]
    """The number of independent retain gradients, by "global" or by each parameter's name."""
    length: float = field(default=1.0, kw_only=True)
    """s; 1 without `Rises`."""

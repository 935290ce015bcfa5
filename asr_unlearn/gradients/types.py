"""What a gradient engine is given and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from jaxtyping import Float
from torch import Tensor

Batch = TypeVar("Batch")

Gradient = dict[str, Tensor]
"""Parameter name -> tensor of that parameter's shape, one entry for every trainable parameter."""

Losses = Callable[[Batch], Float[Tensor, "B"]]
"""One differentiable loss per utterance; the engine never looks into the batch."""


@dataclass(frozen=True)
class MicroBatches(Generic[Batch]):
    """One batch in pieces, for when a forward and backward pass over all of it would not fit."""

    pieces: Sequence[Batch]


def pieces_of(batch: Batch | MicroBatches[Batch]) -> Sequence[Batch]:
    """The batches to run one after the other."""
    return batch.pieces if isinstance(batch, MicroBatches) else [batch]


Weights = Float[Tensor, "B"] | Callable[[Float[Tensor, "B"]], Float[Tensor, "B"]]
"""One weight per utterance, or a function of the detached losses that gives them."""

Metric = Gradient | Callable[[Gradient], Gradient]
"""The positive diagonal D by parameter name, or a function of the forget gradient u that gives it:
a step scaled by its own size, as Adam's is, stays bounded when u grows suddenly."""

Scope = Literal["global", "tensor"]
"""Project the whole flattened gradient, or each parameter tensor by itself."""


@dataclass(frozen=True)
class OrthogonalStep:
    """A forget gradient and its part orthogonal to every retain utterance's gradient.

    With rows gᵢ of the retain batch, D the metric (ones when euclidean) and c the solution of
    (G D⁻¹ Gᵀ) c = G D⁻¹ u, Δ = D⁻¹ (u − Gᵀ c), so that gᵢᵀ Δ = 0 for each i. Under the scope
    "tensor" this holds for each parameter tensor by itself.
    """

    forget: Gradient
    """u = Σ wᵢ gᵢ over the forget batch."""
    orthogonal: Gradient
    """Δ, in the units of a step: D⁻¹ is already applied."""
    retain: Gradient
    """Mean of gᵢ over the retain batch, not preconditioned."""
    forget_losses: Float[Tensor, "F"]
    retain_losses: Float[Tensor, "B"]
    kept: float
    """‖u − Gᵀc‖ / ‖u‖ in the norm of D⁻¹: 1 when nothing had to be removed."""
    rank: dict[str, int]
    """Independent retain gradients: under "global", or under each parameter's name."""

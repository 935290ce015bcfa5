"""Linear centred kernel alignment: how alike the states of two models are."""

from jaxtyping import Float
from torch import Tensor


def linear_cka(x: Float[Tensor, "N C"], y: Float[Tensor, "N D"]) -> float | None:
    """Return ‖YᵀX‖²_F / (‖XᵀX‖_F ‖YᵀY‖_F) of the centred states (Kornblith et al., ICML 2019).

    1 for states that are equal up to a rotation, a scale and a shift, however many dimensions the
    two models have. With fewer samples than dimensions it is higher than it should be.

    Args:
        x, y: states of two models for the same N frames.

    Returns:
        None where the states of a model are all the same.
    """
    a, b = (states.double() - states.double().mean(0) for states in (x, y))
    own = (a.T @ a).norm() * (b.T @ b).norm()
    # Rounding may put what is one above it.
    return min(1.0, float((b.T @ a).norm() ** 2 / own)) if own > 0 else None

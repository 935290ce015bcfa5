"""The first principal component of states, and how far it has moved from another model's."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class PrincipalChange:
    """The first principal component of states, against that of reference states.

    Attributes:
        cosine: of the angle between the two directions, without sign; 1 if they are the same.
        shift: how far the mean of the states is from the reference's along the reference's first
            component, in standard deviations of the reference's states along it.
    """

    cosine: float
    shift: float


def principal_change(
    states: Float[np.ndarray, "N C"], reference: Float[np.ndarray, "N D"]
) -> PrincipalChange | None:
    """Compare the states of two models for the same N utterances (Xu et al., arXiv 2505.16831).

    Returns:
        None where the states of a model are all the same, or the models have other dimensions.
    """
    if states.shape != reference.shape:
        return None
    own, other = _first_component(states), _first_component(reference)
    if own is None or other is None:
        return None
    (direction, _), (expected, deviation) = own, other
    moved = float((states.mean(0) - reference.mean(0)) @ expected)
    # Rounding may put what is one above it.
    cosine = min(1.0, abs(float(direction @ expected)))
    return PrincipalChange(cosine, abs(moved) / deviation)


def _first_component(
    states: Float[np.ndarray, "N C"],
) -> tuple[Float[np.ndarray, " C"], float] | None:
    """The direction of the largest variance, a unit vector, and the standard deviation along it."""
    centred = states.astype(np.float64) - states.mean(0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if not sizes[0] > 0:
        return None
    return directions[0], float(sizes[0] / np.sqrt(len(states)))

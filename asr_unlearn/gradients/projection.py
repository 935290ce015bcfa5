"""Coefficients of the projection from the Gram matrix of the retain gradients.

Linear algebra on B×B matrices, without a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients.types import Scope
from asr_unlearn.runtime.errors import InputError


def relative_cutoff(dtype: torch.dtype) -> float:
    """The relative eigenvalue cut-off for rows of this precision.

    Keeping an eigenvalue λ amplifies rounding by eps/√λ, dropping it leaves √λ of the gradient
    unprojected; the two are equal at λ = eps. The factor covers the rounding of the Gram sums.
    """
    return 32 * torch.finfo(dtype).eps


def exact_cutoff(dtype: torch.dtype) -> float:
    """The relative eigenvalue cut-off for rows of this precision whose K is exact.

    Dropping λ leaves at most √λ of a gradient, here less than its rounding error.
    """
    return max((8 * torch.finfo(dtype).eps) ** 2, relative_cutoff(torch.float64))


# Sums in single precision suffice for rows of at least this squared norm, and for at least this
# smallest eigenvalue of K with rows of unit norm: below, the digits in which near-duplicates differ
# are lost.
SMALLEST_SQUARE, SMALLEST_EIGENVALUE = 1e-20, 1e-3


def needs_float64(gram: Float[Tensor, "B B"]) -> bool:
    """Whether K, from products in single precision, overflowed or lost too many digits."""
    squares = gram.diagonal()
    if not gram.isfinite().all() or (squares < SMALLEST_SQUARE).any():
        return True
    scale = squares.rsqrt()
    return bool(torch.linalg.eigvalsh(scale[:, None] * gram * scale)[0] < SMALLEST_EIGENVALUE)


@dataclass(frozen=True)
class Projection:
    """Coefficients c [B] float64 of the correction Gᵀc, and the numerical rank of G."""

    coefficients: Float[Tensor, "B"]
    rank: int


def project(
    gram: Float[Tensor, "B B"], products: Float[Tensor, "B"], *, rtol: float | None = None
) -> Projection:
    """The solution c = K⁺ b of K c = b in the least-squares sense, and the rank of K.

    The rows of G are scaled to unit norm first, so that a row with a large norm does not hide a
    small one, and the correction does not depend on the scale of the retain losses. A zero row
    has the coefficient 0.

    Args:
        gram: K = G D⁻¹ Gᵀ, symmetric and positive semi-definite up to rounding.
        products: b = G D⁻¹ u.
        rtol: eigenvalues of the normalised K below `rtol` times the largest count as zero;
            `relative_cutoff` of K's precision by default.

    Raises:
        InputError: the shapes do not fit, or K or b is not finite.
    """
    if gram.ndim != 2 or gram.shape != (len(products), len(products)):
        raise InputError(
            f"the Gram matrix has shape {tuple(gram.shape)}, but there are {len(products)} products"
        )
    if not (gram.isfinite().all() and products.isfinite().all()):
        raise InputError(
            "the retain or forget gradients are not finite: check for an infinite loss "
            "(a transcript longer than its frames) or lower the learning rate"
        )
    cutoff = relative_cutoff(gram.dtype) if rtol is None else rtol
    matrix, right = gram.double(), products.double()
    norms = matrix.diagonal().clamp(min=0).sqrt()
    scale = torch.where(norms > 0, 1 / norms, 0.0)
    normalised = scale[:, None] * (matrix + matrix.T) / 2 * scale
    values, vectors = torch.linalg.eigh(normalised)
    significant = values > cutoff * values.max().clamp(min=0)
    inverse = torch.where(significant, 1 / values, 0.0)
    solution = vectors @ (inverse * (vectors.T @ (scale * right)))
    return Projection(scale * solution, int(significant.sum()))


# Eigenvalues of the normalised K that count as zero for prescribed rises, as a share of the
# largest: near-duplicates that are to change differently would need a large step.
CONTRADICTION = 1e-3
# Least share of u's square that must be left of it for a step along it.
LEAST_KEPT = 1e-10


@dataclass(frozen=True)
class Prescribed:
    """The step D⁻¹(s·u − Gᵀc) with prescribed rises.

    Attributes:
        length: s.
        projection: c, and the rank of G.
        kept: ‖u − Gᵀ K⁺b‖ / ‖u‖ in the norm of D⁻¹.
    """

    length: float
    projection: Projection
    kept: float


def prescribed(
    gram: Float[Tensor, "B B"],
    products: Float[Tensor, "B"],
    square: float,
    rises: Float[Tensor, "B"],
    rise: float,
    *,
    rtol: float,
) -> Prescribed:
    """The step with prescribed rises.

    Of all steps with gᵢᵀΔ = rᵢ and uᵀΔ = ρ it is the smallest in the norm of D:
    c = s·K⁺b − K⁺r and s = (ρ − bᵀK⁺r) / (uᵀD⁻¹u − bᵀK⁺b). s is 0 where u is a combination of the
    rows of G, or where the step would have to go down.

    Args:
        gram, products, rtol: as for `project`.
        square: uᵀD⁻¹u.
        rises: r.
        rise: ρ.
    """
    removed = project(gram, products, rtol=rtol)
    returned = project(gram, rises, rtol=max(rtol, CONTRADICTION)).coefficients
    right = products.double()
    left = square - float(right @ removed.coefficients)
    missing = rise - float(right @ returned)
    length = max(missing, 0.0) / left if left > LEAST_KEPT * square else 0.0
    kept = (max(left, 0.0) / square) ** 0.5 if square else 0.0
    found = Projection(length * removed.coefficients - returned, removed.rank)
    return Prescribed(length, found, kept)


def project_parameters(
    grams: Mapping[str, Float[Tensor, "B B"]],
    products: Mapping[str, Float[Tensor, "B"]],
    scope: Scope,
    *,
    rtol: float,
) -> dict[str, Projection]:
    """The projection of each parameter; under the scope "global" all have the same one."""
    if scope == "tensor":
        return {name: project(grams[name], products[name], rtol=rtol) for name in grams}
    if scope != "global":
        raise InputError(f'unknown scope {scope!r}: choose "global" or "tensor"')
    common = project(summed(grams), summed({n: products[n] for n in grams}), rtol=rtol)
    return dict.fromkeys(grams, common)


def summed(parts: Mapping[str, Tensor]) -> Tensor:
    """The sum over parameters, for the scope "global"."""
    return torch.stack(list(parts.values())).sum(0)


def ranks(projections: Mapping[str, Projection], scope: Scope) -> dict[str, int]:
    """The ranks as in `OrthogonalStep.rank`."""
    if scope == "global":
        return {"global": next(iter(projections.values())).rank}
    return {name: projection.rank for name, projection in projections.items()}

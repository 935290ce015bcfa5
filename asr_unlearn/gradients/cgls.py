"""A step orthogonal to more retain gradients than fit in memory, by conjugate gradients (CGLS).

Δ = D⁻¹ r with r = u − Gᵀc the residual of the least-squares problem min ‖u − Gᵀc‖ in the norm of
D⁻¹. CGLS (Hestenes & Stiefel 1952; Paige & Saunders 1982, §7.1) needs only the products Gᵀp and
G D⁻¹ r. Each is a pass over the pool in micro-batches, and three gradients are in memory, whatever
the size of the pool. Rows are scaled to unit norm first, which preconditions the iteration.

With several processes each has a share of the pool, and vectors over the pool are over its own
utterances. Sums over utterances are over those of all processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.gram import products, statistics
from asr_unlearn.gradients.jacobian import Jacobian
from asr_unlearn.gradients.metric import metric_at, remaining_fraction
from asr_unlearn.gradients.types import (
    Batch,
    Gradient,
    Losses,
    Metric,
    MicroBatches,
    OrthogonalStep,
    Scope,
    Weights,
)
from asr_unlearn.gradients.weighted_gradient import trainable_parameters, weighted_gradient
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.progress import Bar

TOLERANCE = 1e-3
"""The residual at which the iterations end."""


@dataclass(frozen=True)
class PoolStep(OrthogonalStep):
    """An approximately orthogonal step; `rank` is empty."""

    residual: float
    """The largest |gᵢᵀΔ| / (‖gᵢ‖ ‖u‖) over the pool, in the norm of D⁻¹; under the scope "tensor"
    the largest |gᵢᵀΔ| of one tensor over the same norms."""
    iterations: int


def pool_step(
    model: nn.Module,
    losses: Losses[Batch],
    forget: Batch | MicroBatches[Batch],
    pool: Sequence[Batch],
    *,
    forget_weights: Weights | None = None,
    scope: Scope = "global",
    metric: Metric | None = None,
    group: ProcessGroup | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = 50,
    progress: bool = False,
) -> PoolStep:
    """The step of `streaming_step` for a retain pool in micro-batches, in O(P) memory.

    An iteration costs two passes over the pool. The iterations end when `residual` is at most
    `tolerance`, or after `max_iterations`: check the returned residual.

    With a `group` of processes the step is orthogonal to the utterances of all of them; the losses
    are this process's own.

    Raises:
        InputError: the pool is empty, or the metric does not fit.
    """
    if not pool:
        raise InputError("the retain pool has no utterances")
    parameters = trainable_parameters(model)
    u, forget_losses = weighted_gradient(model, losses, forget, forget_weights, group=group)
    scale = metric_at(metric, u, parameters)
    jacobian = _PooledJacobian(model, losses, pool, scale, scope, Processes(group))
    survey = jacobian.survey(u)
    remainder, residual, iterations = _cgls(
        jacobian, u, survey, tolerance=tolerance, max_iterations=max_iterations, progress=progress
    )
    if scale is not None:
        for name, value in remainder.items():
            value.div_(scale[name])
    return PoolStep(
        forget=u,
        orthogonal=remainder,
        retain=survey.mean,
        forget_losses=forget_losses,
        retain_losses=survey.losses,
        kept=remaining_fraction(u, remainder, scale),
        rank={},
        residual=residual,
        iterations=iterations,
    )


Vectors = dict[str, Float[Tensor, " _"]]
"""A vector over the pool for each system: one "global", or one for each parameter's name."""


@dataclass(frozen=True)
class _Survey:
    norms: Vectors
    products: Vectors
    mean: Gradient
    losses: Float[Tensor, " _"]


class _PooledJacobian:
    """G of the whole pool as an operator: every product is a pass over its micro-batches."""

    def __init__(
        self,
        model: nn.Module,
        losses: Losses[Batch],
        pool: Sequence[Batch],
        metric: Gradient | None,
        scope: Scope,
        processes: Processes,
    ) -> None:
        self.metric, self.processes = metric, processes
        names = trainable_parameters(model)
        self.system = {name: name if scope == "tensor" else "global" for name in names}
        self._batches = lambda: (Jacobian(model, losses, [batch]) for batch in pool)

    def survey(self, direction: Gradient) -> _Survey:
        """Norms of the rows and their products with a direction (both in D⁻¹), mean row, losses."""
        squares, products, losses = [], [], []
        mean = {name: torch.zeros_like(value) for name, value in direction.items()}
        for jacobian in self._batches():
            alone = Processes(None, [len(jacobian)])
            known = statistics(jacobian, direction, self.metric, alone)
            squares.append(self._summed({n: k.diagonal() for n, k in known.grams.items()}))
            products.append(self._summed(known.products))
            losses.append(jacobian.losses)
            for name, value in known.mean.items():
                mean[name].add_(value, alpha=len(jacobian))
        everything = torch.cat(losses)
        utterances = self.processes.summed(everything.new_tensor(len(everything)))
        for value in mean.values():
            self.processes.summed(value).div_(utterances)
        norms = {key: v.clamp(min=0).sqrt() for key, v in _joined(squares).items()}
        return _Survey(norms, _joined(products), mean, everything)

    def products(self, direction: Gradient) -> Vectors:
        """G D⁻¹ v."""
        return _joined(
            [
                self._summed(products(jacobian, direction, self.metric))
                for jacobian in self._batches()
            ]
        )

    def combination(self, weights: Vectors) -> Gradient:
        """Gᵀw, with each system's own weights."""
        total: Gradient = {}
        start = 0
        for jacobian in self._batches():
            mine = {key: vector[start : start + len(jacobian)] for key, vector in weights.items()}
            start += len(jacobian)
            for name, value in jacobian.totals({n: mine[key] for n, key in self.system.items()}):
                total[name] = total[name].add_(value) if name in total else value
        for value in total.values():
            self.processes.summed(value)
        return total

    def squares(self, gradient: Gradient) -> dict[str, Float[Tensor, ""]]:
        """‖v‖² in the norm of D⁻¹, for each system."""
        return self._summed(
            {
                name: (v.square() if self.metric is None else v.square() / self.metric[name]).sum(
                    dtype=torch.float64
                )
                for name, v in gradient.items()
            }
        )

    def lengths(self, vectors: Vectors) -> dict[str, Float[Tensor, ""]]:
        """‖v‖² of vectors over the pool, for each system."""
        return {key: self.processes.summed(v.square().sum()) for key, v in vectors.items()}

    def _summed(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for name, value in values.items():
            key = self.system[name]
            total[key] = total[key] + value if key in total else value
        return total


def _cgls(
    jacobian: _PooledJacobian,
    u: Gradient,
    survey: _Survey,
    *,
    tolerance: float,
    max_iterations: int,
    progress: bool,
) -> tuple[Gradient, float, int]:
    """u − Gᵀc, the residual of `PoolStep`, and the number of iterations."""
    scale = {key: _reciprocal(norms) for key, norms in survey.norms.items()}
    whole = torch.stack(list(survey.norms.values())).square().sum(0).sqrt()
    length = torch.stack(list(jacobian.squares(u).values())).sum().sqrt()
    share = {key: norms * _reciprocal(whole * length) for key, norms in survey.norms.items()}
    remainder = {name: value.clone() for name, value in u.items()}
    slope = {key: scale[key] * survey.products[key] for key in scale}
    direction = slope
    for iteration in Bar(range(max_iterations + 1), "conjugate gradients", disable=not progress):
        largest = [(slope[key] * share[key]).abs().max() for key in slope]
        residual = float(jacobian.processes.largest(torch.stack(largest).max()))
        if residual <= tolerance or iteration == max_iterations:
            break
        change = jacobian.combination({key: scale[key] * v for key, v in direction.items()})
        before = jacobian.lengths(slope)
        curvature = jacobian.squares(change)
        for name, value in change.items():
            key = jacobian.system[name]
            length_of_step = float(before[key] * _reciprocal(curvature[key]))
            remainder[name].sub_(value, alpha=length_of_step)
        del change
        slope = {key: scale[key] * v for key, v in jacobian.products(remainder).items()}
        after = jacobian.lengths(slope)
        direction = {
            key: v + direction[key] * (after[key] * _reciprocal(before[key]))
            for key, v in slope.items()
        }
    return remainder, residual, iteration


def _joined(pieces: Sequence[Vectors]) -> Vectors:
    return {key: torch.cat([piece[key] for piece in pieces]) for key in pieces[0]}


def _reciprocal(values: Tensor) -> Tensor:
    """1 / x, and 0 where x is 0."""
    return torch.where(values > 0, 1 / values, 0.0)

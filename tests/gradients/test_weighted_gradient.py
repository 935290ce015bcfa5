"""Weighted sums of gradients: what is refused, and gradients in the same memory."""

import pytest
import torch
from jaxtyping import TypeCheckError

from asr_unlearn.gradients import (
    MicroBatches,
    pool_step,
    stacked_step,
    streaming_step,
    trainable_parameters,
    weighted_gradient,
)
from tests.support.gradient_checks import flat
from tests.support.gradient_problems import SumOfTwo, module_problem


def test_losses_that_cannot_be_differentiated_are_refused():
    model = torch.nn.Linear(2, 1)
    x = torch.randn(3, 2)
    with pytest.raises(ValueError, match=r"shape \[B\]"):
        weighted_gradient(model, lambda batch: model(batch), x)
    with pytest.raises(ValueError, match="do not depend"):
        weighted_gradient(model, lambda batch: model(batch).detach()[:, 0], x)
    # Raised by the annotations, which are checked in tests, or by the function.
    with pytest.raises((ValueError, TypeCheckError), match="weights"):
        weighted_gradient(model, lambda batch: model(batch)[:, 0], x, torch.ones(2))
    with pytest.raises(ValueError, match="no trainable"):
        trainable_parameters(model.requires_grad_(False))


@pytest.mark.parametrize("scope", ["global", "tensor"])
def test_parameters_with_one_gradient_are_added_up_once(scope):
    """Autograd returns one tensor as the gradients of p and q in p + q."""
    problem = module_problem(SumOfTwo, torch.float64)
    model, losses = problem.model, problem.losses
    forget, retain = problem.batch(2, 3), problem.batch(1, 6)
    pieces = [retain.take(indices) for indices in ([0, 1], [2, 3, 4], [5])]
    expected = stacked_step(model, losses, forget, retain, scope=scope)
    options = {"tolerance": 1e-9, "max_iterations": 30, "scope": scope}
    for found in (
        streaming_step(model, losses, forget, retain, scope=scope),
        streaming_step(model, losses, forget, MicroBatches(pieces), scope=scope),
        pool_step(model, losses, forget, pieces, **options),
    ):
        for part in ("forget", "orthogonal", "retain"):
            a, b = flat(getattr(expected, part)), flat(getattr(found, part))
            assert (a - b).norm() <= 1e-6 * a.norm(), part
    micro, _ = weighted_gradient(model, losses, MicroBatches(pieces))
    torch.testing.assert_close(flat(micro), flat(expected.retain))

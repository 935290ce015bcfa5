"""What tests of the gradient engines compare: rows by name, flat gradients, and a metric."""

import torch

from asr_unlearn.gradients import stacked_step, streaming_step, trainable_parameters
from asr_unlearn.gradients.jacobian import Jacobian

ENGINES = [stacked_step, streaming_step]


def reference_rows(problem, batch):
    """gᵢ by name: autograd on one loss at a time."""
    values = problem.losses(batch)
    rows = {}
    for name, parameter in problem.model.named_parameters():
        if parameter.requires_grad:
            alone = [
                torch.autograd.grad(
                    value, parameter, retain_graph=True, materialize_grads=True, allow_unused=True
                )[0]
                for value in values
            ]
            rows[name] = torch.stack(alone)
    return rows


def streamed_rows(problem, *batches):
    rows = Jacobian(problem.model, problem.losses, list(batches))
    assembled = {
        name: torch.zeros(len(rows), *parameter.shape, dtype=parameter.dtype)
        for name, parameter in trainable_parameters(problem.model).items()
    }
    for group in rows.groups:
        for span in rows.ranges(group, len(rows)):
            whole = assembled[span.name]
            target = whole[:, span.part] if whole.dim() > 1 else whole
            target.copy_(span.rows)
    return assembled


def assert_same_rows(problem, expected, found, tolerance):
    trainable = {name for name, p in problem.model.named_parameters() if p.requires_grad}
    assert trainable
    assert set(expected) == trainable
    assert set(found) == trainable
    norm = sum(rows.square().sum() for rows in expected.values()).sqrt()
    assert norm > 0
    for name in trainable:
        assert (expected[name] - found[name]).norm() <= tolerance * norm, name


def positive_metric(model):
    random = torch.Generator().manual_seed(5)
    return {
        name: torch.rand(p.shape, generator=random, dtype=torch.float64).to(p) * 3 + 0.1
        for name, p in trainable_parameters(model).items()
    }


def flat(gradient):
    return torch.cat([value.reshape(-1) for value in gradient.values()])

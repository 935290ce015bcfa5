"""Forget gradients that hold in a neighbourhood of the weights, against relearning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from asr_unlearn.gradients import Gradient, trainable_parameters
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Direction, Term


def sharpness_aware(step: Step, term: Term, radius: float) -> Direction:
    """The direction of a term at θ + ρ·g/‖g‖, with g its gradient at θ (SAM; arXiv 2010.01412).

    A few steps of fine-tuning on the forgotten speakers go towards a higher value of the term; what
    is lowered there too is not brought back by them (Fan et al., arXiv 2502.05374). The losses, and
    the rise of the forget losses that is predicted from `ascent`, are those at θ.

    Args:
        radius: ρ; above 0.
    """
    here = term.direction(step)
    with _moved(step, here.gradient, radius):
        there = term.direction(step)
    return replace(there, losses=here.losses, ascent=here.ascent)


@contextmanager
def _moved(step: Step, gradient: Gradient, radius: float) -> Iterator[None]:
    """Weights moved by that length along a gradient, and put back bit for bit."""
    parameters = trainable_parameters(step.model)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    length = sum(float(g.square().sum(dtype=torch.float64)) for g in gradient.values()) ** 0.5
    with torch.no_grad():
        for name, parameter in parameters.items():
            if length > 0:
                parameter.add_(gradient[name], alpha=radius / length)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])

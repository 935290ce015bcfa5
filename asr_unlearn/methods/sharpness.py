"""Forget gradients that hold in a neighbourhood of the weights, against relearning."""

from dataclasses import replace

import torch

from asr_unlearn.gradients import norm, trainable_parameters
from asr_unlearn.methods.context import Step
from asr_unlearn.methods.direction import Direction, Term
from asr_unlearn.methods.temporary_weights import weights_set_to


def sharpness_aware(step: Step, term: Term, radius: float) -> Direction:
    """The direction of a term at θ + ρ·g/‖g‖, with g its gradient at θ (SAM; arXiv 2010.01412).

    A few steps of fine-tuning on the forgotten speakers go towards a higher value of the term; what
    is lowered there too is not brought back by them (Fan et al., arXiv 2502.05374). The losses, and
    the rise of the forget losses that is predicted from `ascent`, are those at θ.

    Args:
        radius: ρ; above 0.
    """
    here = term.direction(step)
    gradient, parameters = here.gradient, trainable_parameters(step.model)
    length = norm(gradient)
    # Every gradient is 0 where the term is least.
    share = radius / length if length > 0 else 0.0
    moved = {n: torch.add(p.detach(), gradient[n], alpha=share) for n, p in parameters.items()}
    with weights_set_to(step.model, moved):
        there = term.direction(step)
    return replace(there, losses=here.losses, ascent=here.ascent)

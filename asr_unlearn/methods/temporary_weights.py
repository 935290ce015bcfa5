"""Gradients at other weights than those of the model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from asr_unlearn.gradients import Gradient, copied, trainable_parameters


@contextmanager
def weights_set_to(model: nn.Module, weights: Gradient) -> Iterator[None]:
    """A context in which trainable parameters have these values; they are put back bit for bit."""
    parameters = trainable_parameters(model)
    before = copied(parameters)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])

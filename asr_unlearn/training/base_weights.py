"""The weights of the model that another one was fine-tuned from."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from asr_unlearn.gradients import Gradient
from asr_unlearn.models.loading import load_model
from asr_unlearn.runtime.errors import InputError


def base_weights(folder: Path | None, model: PreTrainedModel, method: str) -> Gradient:
    """The values that the trainable parameters of `model` have in the model at `folder`.

    Args:
        folder: of the base, which the stop rule has as its reference model.
        model: that was fine-tuned from it.
        method: that needs it, for the message.

    Raises:
        InputError: there is none; it lacks a parameter, or has it in another shape; or a parameter
            that is frozen has another value in it.
    """
    if folder is None:
        raise InputError(
            f"{method} needs the model that the original was fine-tuned from: give it as "
            "--stop.reference_model"
        )
    base: dict[str, Tensor] = dict(load_model(str(folder))[0].named_parameters())
    found: Gradient = {}
    for name, parameter in model.named_parameters():
        own = base.get(name, torch.empty(0))
        if own.shape != parameter.shape:
            raise InputError(
                f"{method}: {folder} has no {name} of the original's shape; give the model that "
                "the original was fine-tuned from as --stop.reference_model"
            )
        if parameter.requires_grad:
            found[name] = own.detach().to(parameter)
        elif not torch.equal(own.to(parameter), parameter):
            raise InputError(
                f"{method}: {name} is frozen and differs from that of {folder}; train all weights"
            )
    return found

"""The device to compute on."""

from typing import Literal

import torch

from asr_unlearn.runtime.errors import InputError

Device = Literal["auto", "cpu", "cuda"]


def pick_device(name: Device) -> torch.device:
    """The device of that name; "auto" is a GPU if there is one.

    Raises:
        InputError: "cuda" without a GPU.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("--device cuda: torch finds no GPU here; leave it out, or say cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")

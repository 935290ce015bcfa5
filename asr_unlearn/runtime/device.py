"""Where a model lives and computes."""

from typing import Literal

import torch

from asr_unlearn.runtime.errors import InputError

Device = Literal["auto", "cpu", "cuda"]


def pick_device(name: Device) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one.

    Raises:
        ValueError: a GPU is asked for where there is none.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("--device cuda: torch finds no GPU here; leave it out, or say cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")

"""What a model is asked, and the task that asks it, by the model's class."""

from typing import Any

import torch
from transformers import PreTrainedModel

from asr_unlearn.tasks.ctc import CTC
from asr_unlearn.tasks.task import Task

__all__ = ["CTC", "Task", "task_for"]

TASKS = {"ForCTC": CTC}


def task_for(model: PreTrainedModel, processor: Any, device: torch.device | None = None) -> Task:
    """The task that a model's class is made for.

    Raises:
        TypeError: there is none, or the model hears in a way the task does not know.
    """
    names = [cls.__name__ for cls in type(model).__mro__]
    for ending, task in TASKS.items():
        if any(name.endswith(ending) for name in names):
            return task(model, processor, device)
    raise TypeError(f"{type(model).__name__} is none of …{', …'.join(TASKS)}")

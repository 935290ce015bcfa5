"""Models to learn from, or to move away from."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.data.batching import Batch
from asr_unlearn.gradients import Losses
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.models.tasks.task import Task


def frozen_copy(task: Task) -> Task:
    """The task with a copy of its model that does not change any more, in eval mode."""
    return _frozen(task.with_model(copy.deepcopy(task.model)))


def untrained(task: Task, seed: int) -> Task:
    """The task with a model of the same configuration and random weights.

    Behind a frozen front end it hears the original's features.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = type(task.model)(task.model.config)
    return _frozen(task.with_model(nn.Module.to(model, task.device, task.model.dtype)))


def _frozen(task: Task) -> Task:
    task.model.requires_grad_(False)
    task.model.eval()
    return task


def divergence_from(teacher: Task, task: Task, temperature: float = 1.0) -> Losses[Batch]:
    """Per-utterance losses T²·KL(teacher ‖ model), mean over true frames or tokens.

    Both distributions are softened by the temperature (Hinton et al., arXiv 1503.02531).
    """

    def losses(batch: Batch) -> Float[Tensor, " B"]:
        with torch.no_grad():
            reference, true = teacher.distributions(batch)
        model, _ = task.distributions(batch)
        if temperature != 1:
            reference = (reference / temperature).log_softmax(-1)
            model = (model / temperature).log_softmax(-1)
        return temperature**2 * divergences(reference, model, true)

    return losses

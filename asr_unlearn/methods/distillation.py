"""Teacher models, and the divergence of a model from its teacher."""

import copy

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from asr_unlearn.data.batching import Batch
from asr_unlearn.gradients import Losses
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.models.tasks.task import Task


def frozen_copy(task: Task) -> Task:
    """The task with a frozen copy of its model, in eval mode."""
    return _frozen(task.with_model(copy.deepcopy(task.model)))


def untrained(task: Task, seed: int) -> Task:
    """The task with a frozen model of the same configuration and random weights, in eval mode.

    A frozen front end is shared: the untrained model gets the original's features. The weights are
    not those that a training with the same seed starts from, and that the original may come from.
    """
    with torch.random.fork_rng():
        torch.manual_seed(int(np.random.SeedSequence([seed, 1]).generate_state(1)[0]))
        model = type(task.model)(task.model.config)
    return _frozen(task.with_model(nn.Module.to(model, task.device, task.model.dtype)))


def _frozen(task: Task) -> Task:
    task.model.requires_grad_(False)
    task.model.eval()
    return task


def divergence_from(teacher: Task, task: Task, temperature: float = 1.0) -> Losses[Batch]:
    """Per-utterance losses T²·KL(teacher ‖ model), each the mean over its true frames or tokens.

    The temperature T softens both distributions (Hinton et al., arXiv 1503.02531).
    """

    def losses(batch: Batch) -> Float[Tensor, " B"]:
        return _divergences(teacher, task, batch, task.logits(batch), temperature)

    return losses


def divergence_and_loss(
    teacher: Task, task: Task, temperature: float, coefficients: tuple[float, float]
) -> Losses[Batch]:
    """Per-utterance losses α·T²·KL(teacher ‖ model) + γ·ℓ, of one pass through the model.

    Args:
        coefficients: α and γ.
    """
    alpha, gamma = coefficients

    def losses(batch: Batch) -> Float[Tensor, " B"]:
        logits = task.logits(batch)
        divergence = _divergences(teacher, task, batch, logits, temperature)
        return alpha * divergence + gamma * task.losses_from_logits(logits, batch)

    return losses


def _divergences(
    teacher: Task, task: Task, batch: Batch, logits: Float[Tensor, "B T V"], temperature: float
) -> Float[Tensor, " B"]:
    with torch.no_grad():
        reference, true = teacher.distributions(batch)
    model, _ = task.distributions_from_logits(logits, batch)
    if temperature != 1:
        reference = (reference / temperature).log_softmax(-1)
        model = (model / temperature).log_softmax(-1)
    return temperature**2 * divergences(reference, model, true)

"""The diagonal Fisher information from per-utterance gradients."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.distributed import ProcessGroup

from asr_unlearn.gradients.distributed import Processes
from asr_unlearn.gradients.jacobian import Jacobian, columns
from asr_unlearn.gradients.types import Batch, Gradient, Losses
from asr_unlearn.gradients.weighted_gradient import trainable_parameters
from asr_unlearn.runtime.errors import InputError


def diagonal_fisher(
    model: nn.Module,
    losses: Losses[Batch],
    batches: Iterable[Batch],
    *,
    group: ProcessGroup | None = None,
) -> Gradient:
    """The mean of gᵢ² over the utterances of all batches: the empirical Fisher's diagonal.

    The square is of each utterance's gradient, not of the batch's mean, which vanishes as the
    batch grows. Needs memory for two gradients and one batch's backward pass.

    With a `group` of processes the mean is over the utterances of all of them.

    Raises:
        InputError: there are no batches.
    """
    total = {name: torch.zeros_like(p) for name, p in trainable_parameters(model).items()}
    processes = Processes(group)
    utterances = 0
    for batch in batches:
        jacobian = Jacobian(model, losses, [batch])
        for names in jacobian.groups:
            for span in jacobian.ranges(names, len(jacobian)):
                columns(total[span.name], span.part).add_(span.rows.square().sum(0))
        utterances += len(jacobian)
    # Processes may have different numbers of batches, so that each tells once how many it had.
    device = next(iter(total.values())).device
    utterances = sum(processes.with_utterances(utterances, device).sizes)
    if not utterances:
        raise InputError("no utterances to take the Fisher information of")
    return {name: processes.summed(value) / utterances for name, value in total.items()}

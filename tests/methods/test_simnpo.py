"""SimNPO: its gradient is that of the paper's loss."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.support.toy_task import close, context, direction, prepared, step


@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(0.0, 2.5, 0.0), (0.3, 1.0, 2.0)])
def test_the_step_descends_the_loss_of_the_paper(alpha, beta, gamma):
    given = context()
    method = prepared("simnpo", given, alpha=alpha, beta=beta, gamma=gamma)
    losses = {part: given.task.losses(given.sources[part][0]) for part in ("forget", "retain")}
    # The mean loss per label is −log π / |y|.
    forget = -2 / beta * logsigmoid(beta * losses["forget"] - gamma)
    whole = (1 - alpha) * forget.mean() + alpha * losses["retain"].mean()
    (expected,) = torch.autograd.grad(whole, given.model.weight)
    close(direction(method, step(given)), expected.numpy())


def test_at_the_margin_an_utterance_has_half_its_weight():
    found = prepared("simnpo", context(), beta=2.0, gamma=3.0)._weights(
        torch.tensor([1.5, 1e4], dtype=torch.float64)
    )
    close(found.numpy(), [0.5, 0.0])

"""The reference engine's rows are those of autograd."""

import torch

from asr_unlearn.gradients import per_utterance_gradients
from tests.support.gradient_checks import reference_rows
from tests.support.gradient_problems import recogniser


def test_the_package_reference_is_autograd():
    problem = recogniser("wav2vec2, layer norm", torch.float64)
    batch = problem.batch(1, 4)
    stacked, losses = per_utterance_gradients(problem.model, problem.losses, batch)
    expected = reference_rows(problem, batch)
    flat = torch.cat([rows.flatten(1) for rows in expected.values()], dim=1)
    assert torch.equal(losses, problem.losses(batch).detach())
    torch.testing.assert_close(stacked, flat, rtol=1e-12, atol=1e-14)

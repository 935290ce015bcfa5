"""A model under bfloat16 autocast: rows, K and the solution stay in the parameters' precision."""

from dataclasses import replace

import pytest
import torch

from asr_unlearn.gradients import per_utterance_gradients, stacked_step, streaming_step
from tests.support.gradient_checks import flat, streamed_rows
from tests.support.gradient_problems import recogniser

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")

NAMES = ["wav2vec2, layer norm", "hubert", "whisper", "wav2vec2, LoRA"]


def under_autocast(problem):
    def losses(batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return problem.losses(batch).float()

    return replace(problem, losses=losses)


@pytest.mark.parametrize("name", NAMES)
def test_rows_under_autocast_are_those_of_autograd(name):
    problem = under_autocast(recogniser(name, torch.float32))
    batch = problem.batch(1, 4)
    expected, _ = per_utterance_gradients(problem.model, problem.losses, batch)
    rows = streamed_rows(problem, batch)
    assert all(value.dtype == torch.float32 for value in rows.values())
    found = torch.cat([value.flatten(1) for value in rows.values()], dim=1)
    # Autograd rounds each weight's gradient to bfloat16, three decimal digits; the rows are not.
    assert (found - expected).norm() <= 1e-2 * expected.norm()


@pytest.mark.parametrize("name", NAMES)
def test_the_step_is_orthogonal_to_its_own_rows(name):
    problem = under_autocast(recogniser(name, torch.float32))
    forget, retain = problem.batch(2, 3), problem.batch(1, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = streaming_step(problem.model, problem.losses, forget, retain)
    rows = torch.cat([r.flatten(1) for r in streamed_rows(problem, retain).values()], dim=1)
    products = rows @ flat(step.orthogonal) / rows.norm(dim=1) / flat(step.forget).norm()
    assert products.abs().max() <= 1e-5
    plain = recogniser(name, torch.float32)
    expected = flat(stacked_step(plain.model, plain.losses, forget, retain).orthogonal)
    assert torch.cosine_similarity(flat(step.orthogonal), expected, dim=0) > 0.99

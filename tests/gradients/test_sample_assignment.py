"""The sample assignment is measured once a layout, and again where it may change."""

import pytest
import torch
from torch import nn

from tests.support.gradient_checks import (
    ENGINES,
    assert_same_rows,
    flat,
    reference_rows,
    streamed_rows,
)
from tests.support.gradient_problems import RECOGNISERS, Packed, Problem, recogniser

pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


@pytest.mark.parametrize("name", [name for name in RECOGNISERS if name != "ecapa"])
def test_an_assignment_is_measured_once(name, monkeypatch):
    """Another batch of the same size and length has the same layout, if the model pads.

    ECAPA is left out: its padding has no gradient that would show its utterance.
    """
    problem = recogniser(name, torch.float32)
    streamed_rows(problem, problem.batch(1, 4))
    monkeypatch.setattr(
        "asr_unlearn.gradients.backward.probe_weights", lambda _: pytest.fail("measured again")
    )
    streamed_rows(problem, problem.batch(2, 4))


def test_a_model_that_leaves_padding_out():
    """Utterances of other lengths have another layout, with as many frames in total."""
    torch.manual_seed(0)
    problem = Problem(Packed().double(), lambda batch: problem.model(*batch), None)
    for lengths in ([4, 4, 4], [3, 9, 4], [8, 2, 6], [4, 4, 4], [2, 6, 4]):
        batch = torch.randn(3, 9, 6, dtype=torch.float64), torch.tensor(lengths)
        assert_same_rows(
            problem, reference_rows(problem, batch), streamed_rows(problem, batch), 1e-9
        )


class SharedNorm(nn.Module):
    """A layer with a weight that all frames of all utterances share."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.out = nn.RMSNorm(8), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.norm(x))).square().mean((1, 2)) * scale


@pytest.mark.filterwarnings("ignore:no rule gives")
@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-7])
def test_an_utterance_that_is_nearly_memorised_has_its_row_then_and_later(ratio):
    """Beside another one's, its gradient is too small to be seen at a position of both."""
    torch.manual_seed(0)
    problem = Problem(SharedNorm(), lambda batch: problem.model(*batch), None)
    x = torch.randn(2, 7, 8)
    for scale in (torch.tensor([1.0, ratio]), torch.ones(2)):
        batch = x, scale
        expected, found = reference_rows(problem, batch), streamed_rows(problem, batch)
        row, measured = expected["norm.weight"][1], found["norm.weight"][1]
        assert (measured - row).norm() <= 1e-4 * row.norm()


def test_a_changing_batch_is_measured_again():
    problem = recogniser("wavlm", torch.float64)
    retain = problem.batch(1, 5)
    forget = problem.batch(2, 2)
    for indices in ([0, 1, 2, 3, 4], [4, 2], [3], [1, 0, 2, 4, 3]):
        batch = retain.take(indices)
        expected, found = (e(problem.model, problem.losses, forget, batch) for e in ENGINES)
        torch.testing.assert_close(flat(found.orthogonal), flat(expected.orthogonal))

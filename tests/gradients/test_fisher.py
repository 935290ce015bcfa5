"""The diagonal Fisher information is the mean of squared rows, of every trainable parameter."""

import pytest
import torch
from torch import nn

from asr_unlearn.gradients import diagonal_fisher, per_utterance_gradients, trainable_parameters


def test_equals_squared_rows_over_all_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 1)).double()

    def losses(batch):
        return model(batch)[..., 0].square().mean(1)

    # Batches of four and of two utterances: the mean is over utterances, not over batches.
    batches = [torch.randn(4, 7, 3).double(), torch.randn(2, 7, 3).double()]
    found = diagonal_fisher(model, losses, batches)
    rows = torch.cat([per_utterance_gradients(model, losses, b)[0] for b in batches])
    parameters = trainable_parameters(model)
    assert set(found) == set(parameters)
    expected = rows.square().mean(0).split([p.numel() for p in parameters.values()])
    for name, values in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found[name].flatten(), values)


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match="no utterances"):
        diagonal_fisher(nn.Linear(2, 1), lambda batch: batch, [])

"""CF-k freezes all but the last layers."""

import pytest
from torch import nn

from asr_unlearn.methods import METHODS


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.middle, self.last = (nn.Linear(2, 2) for _ in range(3))
        self.middle.bias.requires_grad_(False)


class DeepTask:
    def __init__(self):
        self.model = Deep()

    def layers(self):
        return [self.model.first, self.model.middle, self.model.last]


@pytest.mark.parametrize(
    ("layers", "left"),
    [
        (1, {"last.weight", "last.bias"}),
        (2, {"last.weight", "last.bias", "middle.weight"}),
        (3, {"last.weight", "last.bias", "middle.weight", "first.weight", "first.bias"}),
    ],
)
def test_cf_k_leaves_the_earlier_layers_and_what_was_frozen(layers, left):
    task = DeepTask()
    METHODS["cf_k"](layers=layers).freeze_parameters(task)
    assert {n for n, p in task.model.named_parameters() if p.requires_grad} == left


def test_cf_k_refuses_more_layers_than_there_are():
    with pytest.raises(ValueError, match="the model has 3 layers"):
        METHODS["cf_k"](layers=4).freeze_parameters(DeepTask())

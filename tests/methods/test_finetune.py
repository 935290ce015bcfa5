"""Fine-tuning is descent on the retain set."""

import copy

import numpy as np
import torch
from torch import nn

from asr_unlearn.methods.finetune import Finetune
from tests.support.linear_task import RETAIN, by_hand, linear_direction


def test_finetune_descends_the_mean_retain_loss():
    np.testing.assert_allclose(linear_direction("finetune"), by_hand(RETAIN).mean(0), rtol=1e-5)


def test_eight_bits_hold_the_state_of_nearly_the_same_steps():
    torch.manual_seed(0)
    layers = nn.Linear(64, 128)
    begun = layers.weight.detach().clone()
    moves, states = [], []
    for eight_bit in (False, True):
        layer = copy.deepcopy(layers)
        optimizer = Finetune(lr=1e-3, eight_bit=eight_bit).optimizer(list(layer.parameters()))
        torch.manual_seed(1)
        for _ in range(5):
            layer(torch.randn(32, 64)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        moves.append((layer.weight.detach() - begun).flatten())
        state = optimizer.state[layer.weight].values()
        states.append(sum(t.numel() * t.element_size() for t in state if torch.is_tensor(t)))
    exact, found = moves
    assert 0 < (found - exact).norm() < 0.1 * exact.norm()
    # Each block has a scale, and the weights share two tables of 256 numbers.
    assert states[0] > 8 * begun.numel() > 3 * states[1] > 6 * begun.numel()

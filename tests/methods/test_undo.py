"""Noise in the weights, then the outputs that the model had before it."""

import numpy as np
import torch

from asr_unlearn.methods.distillation import untrained
from tests.support.toy_task import close, context, direction, prepared, softmax, step


def test_weights_are_blended_with_those_of_an_untrained_model():
    given = context()
    original = given.model.weight.detach().clone()
    noise = untrained(given.task, given.seed).model.weight.detach()
    prepared("undo", given, alpha=0.25)
    assert (noise - original).abs().max() > 0.1
    torch.testing.assert_close(given.model.weight.detach(), 0.75 * original + 0.25 * noise)


def test_a_step_is_distillation_of_the_model_before_the_noise():
    given = context()
    original = given.model.weight.detach().numpy().copy()
    method = prepared("undo", given, alpha=0.5)
    x = given.sources["retain"][0].inputs.numpy()
    p, q = softmax(x @ given.model.weight.detach().numpy().T), softmax(x @ original.T)
    close(direction(method, step(given)), ((p - q)[:, :, None] * x[:, None, :]).mean(0))
    assert np.abs(p - q).max() > 1e-3


def test_without_noise_there_is_nothing_to_distil():
    given = context()
    method = prepared("undo", given, alpha=0.0)
    close(direction(method, step(given)), np.zeros(given.model.weight.shape))

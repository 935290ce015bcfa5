"""Selective amnesia: surrogate, replay and penalty."""

import torch

from asr_unlearn.methods.random_label import wrong_targets
from tests.support.toy_task import close, context, direction, gradients, mean_of, prepared, step


def test_selective_amnesia_penalises_by_the_fisher_information():
    given = context()
    method = prepared("selective_amnesia", given, gamma=2.0, lam=7.0)
    retained, _ = gradients(given, given.sources["retain"][0])
    fisher = (retained**2).mean(0)
    with torch.no_grad():
        given.model.weight.add_(0.1)
    batch = given.sources["forget"][0]
    targets = wrong_targets(given)
    wrong = torch.cat([targets[name] for name in batch.ids])
    surrogate = gradients(given, batch, wrong)[0].mean(0)
    expected = surrogate + 2.0 * mean_of(given, "retain")[0] + 2 * 7.0 * fisher * 0.1
    close(direction(method, step(given)), expected)

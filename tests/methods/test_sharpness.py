"""Sharpness-aware steps: the forget gradient is that of the weights nearby, and nothing else is."""

import numpy as np
import pytest
import torch

from asr_unlearn.methods import METHODS
from asr_unlearn.runtime.errors import InputError
from tests.support.tiny_training import tiny_training
from tests.support.toy_task import close, context, direction, mean_of, prepared, step


@pytest.mark.parametrize("radius", [0.05, 2.0])
def test_the_forget_gradient_is_taken_where_the_forget_part_is_higher(radius):
    """At W + ρ·g/‖g‖, with g the gradient of −(1 − α)·ℓ_F; the retain gradient is taken at W."""
    given = context()
    method = prepared("neggrad_plus", given, alpha=0.3, sam=radius)
    weight = given.model.weight
    before = weight.detach().clone()
    retain, _ = mean_of(given, "retain")
    forget, loss = mean_of(given, "forget")
    g = -0.7 * forget
    with torch.no_grad():
        weight.add_(torch.from_numpy(radius * g / np.linalg.norm(g)))
    moved, higher = mean_of(given, "forget")
    # Ascent lowers −ℓ_F, so nearby the loss is lower: what is forgotten is nearly remembered.
    assert higher < loss
    with torch.no_grad():
        weight.copy_(before)
    close(direction(method, step(given)), -0.7 * moved + 0.3 * retain)
    assert torch.equal(weight, before)
    found = method.direction(step(given))
    close(found.losses["forget"].mean().numpy(), loss)
    close(found.ascent.descent["weight"].numpy(), g)


def test_a_gradient_of_zero_moves_nothing():
    given = context()
    method = prepared("neggrad_plus", given, alpha=1.0, sam=0.5)
    retain, _ = mean_of(given, "retain")
    close(direction(method, step(given)), retain)


@pytest.mark.parametrize("name", ["finetune", "ssd", "orthograd", "orthograd_tau"])
def test_methods_without_a_forget_loss_are_refused(name):
    with pytest.raises(InputError, match=f"{name}: sam is for methods with a loss on the forget"):
        METHODS[name](sam=0.1)


def test_it_changes_real_steps_and_goes_with_projection(corpus, tiny_config, tmp_path):
    found = []
    for number, options in enumerate(({}, {"sam": 0.5}, {"sam": 0.5, "project": True})):
        run = tiny_training(
            corpus, tiny_config, tmp_path / str(number), "gradient_ascent",
            epochs=1, lr=1e-3, forget_batch=4, **options,
        )  # fmt: skip
        run()
        found.append(torch.cat([p.detach().flatten() for p in run.update.parameters.values()]))
    assert all(each.isfinite().all() for each in found)
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])

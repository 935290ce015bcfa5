"""SCRUB: its two kinds of steps, its epochs, and when the model is checked."""

from dataclasses import replace

import torch

from asr_unlearn.methods import METHODS, Step
from tests.support.toy_task import close, context, direction, mean_of, softmax, step


def test_scrub_alternates_and_is_checked_when_an_epoch_ends():
    given = context(total=6)
    method = METHODS["scrub"](max_epochs=2, alpha=0.5, gamma=2.0, temperature=1.0)
    length = method.steps_per_epoch(given.sources)
    assert length == given.steps_per_epoch == 2
    method.prepare(given)
    original = given.model.weight.detach().numpy().copy()
    with torch.no_grad():
        given.model.weight.mul_(1.5)
    pulls = {}
    for part in ("forget", "retain"):
        x = given.sources[part][0].inputs.numpy()
        p, q = softmax(x @ given.model.weight.detach().numpy().T), softmax(x @ original.T)
        pulls[part] = ((p - q)[:, :, None] * x[:, None, :]).mean(0)
    stay = 0.5 * pulls["retain"] + 2.0 * mean_of(given, "retain")[0]
    for number, expected in enumerate([-pulls["forget"], stay, -pulls["forget"], stay, stay]):
        close(direction(method, step(given, number)), expected)
    measured = [n for n in range(1, 7) if method.is_checked(n, given, every=1)]
    # The third epoch, and what would be a fourth, are one retain batch each.
    assert measured == [2, 4, 5, 6]


def test_an_epoch_of_scrub_without_a_maximising_pass_is_one_over_the_retain_set():
    given = context(batch_size=1)
    method = METHODS["scrub"](epochs=4.0, max_epochs=1)
    # 2 + 3 steps, then 3 an epoch.
    assert method.steps_per_epoch(given.sources) == 5
    total = method.steps(given.sources)
    assert total == 5 + 3 * 3
    given = replace(given, steps_per_epoch=5, total=total)
    method.prepare(given)
    drawn = []

    def draw(part):
        drawn.append(part)
        return given.sources[part][0]

    for number in range(total):
        method.direction(Step(given, number, draw))
    assert drawn == ["forget"] * 2 + ["retain"] * 12
    assert [n for n in range(1, 15) if method.is_checked(n, given, every=4)] == [5, 8, 11, 14]
    assert [method.epoch(n, given) for n in (5, 8, 14)] == [1, 2, 4]
    # As many epochs as before, however many of them maximise.
    for first, steps in ((0, 12), (4, 20), (9, 20)):
        assert METHODS["scrub"](epochs=4.0, max_epochs=first).steps(given.sources) == steps

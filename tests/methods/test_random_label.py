"""Random labelling: how wrong targets are drawn, and descent on them."""

from itertools import product

import pytest
import torch

from asr_unlearn.methods.random_label import relabelled, wrong_targets
from tests.support.toy_task import (
    PARTS,
    close,
    context,
    direction,
    gradients,
    mean_of,
    prepared,
    step,
)


def test_foreign_targets_are_wrong_fit_and_come_from_the_retain_set():
    given = context()
    targets = wrong_targets(given)
    assert set(targets) == set(PARTS["forget"])
    # f1 is a 1, and with 15 samples too short for a 2.
    assert int(targets["f1"]) == 0
    assert int(targets["f0"]) in (1, 2)
    again = wrong_targets(context())
    assert all(torch.equal(again[name], target) for name, target in targets.items())


def test_foreign_targets_are_a_different_text_for_each_utterance():
    labels = {"f0": 9, "f1": 9, "r0": 0, "r1": 1, "r2": 1, "u0": 0, "u1": 0}
    for seed, retain in product(range(8), (2, 3)):
        drawn = wrong_targets(context(seed=seed, labels=labels, retain=retain))
        assert {int(t) for t in drawn.values()} == {0, 1}


def test_no_foreign_target_is_an_error_that_names_the_utterance():
    labels = {"f0": 0, "f1": 1, "r0": 1, "r1": 1, "r2": 2, "u0": 0, "u1": 0}
    with pytest.raises(ValueError, match="differs from f1's and fits"):
        wrong_targets(context(labels=labels))


def test_random_label_descends_on_the_wrong_targets():
    given = context()
    method = prepared("random_label", given, alpha=0.25)
    batch = given.sources["forget"][0]
    targets = wrong_targets(given)
    wrong = torch.cat([targets[name] for name in batch.ids])
    rows, _ = gradients(given, batch, wrong)
    down, _ = mean_of(given, "retain")
    for number in (0, 5):
        close(direction(method, step(given, number)), 0.25 * down + 0.75 * rows.mean(0))
    changed = relabelled(batch, targets)
    assert changed.ids == batch.ids
    assert torch.equal(changed.targets[:, 0], wrong)

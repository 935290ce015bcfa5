"""The L1 penalty and its decay."""

import numpy as np

from tests.support.toy_task import close, context, direction, mean_of, prepared, step


def test_l1_sparse_pulls_less_and_less():
    given = context()
    method = prepared("l1_sparse", given, lam=0.5)
    down, _ = mean_of(given, "retain")
    signs = np.sign(given.model.weight.detach().numpy())
    for number in (0, 4, 7):
        expected = down + 0.5 * (1 - number / 8) * signs
        close(direction(method, step(given, number)), expected)

"""SalUn trains exactly the most salient share of the weights."""

import numpy as np
import pytest
import torch

from tests.support.toy_task import context, gradients, prepared, step


def test_salun_moves_only_the_salient_half():
    given = context(batch_size=1)  # The mean is over all batches, the first included.
    method = prepared("salun", given, lr=0.1)
    rows = [gradients(given, given.sources["forget"][i])[0][0] for i in range(2)]
    saliency = np.abs(sum(rows) / 2)
    salient = saliency >= np.sort(saliency.flatten())[saliency.size // 2]
    assert salient.sum() == saliency.size // 2
    before = given.model.weight.detach().clone()
    optimizer = method.optimizer([given.model.weight])
    for number in range(5):
        given.model.weight.grad = method.direction(step(given, number)).gradient["weight"]
        optimizer.step()
    moved = (given.model.weight != before).numpy()
    np.testing.assert_array_equal(moved, salient)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_salun_moves_its_share_where_most_gradients_are_zero(share, monkeypatch):
    given = context()
    sparse = torch.zeros(3, 4, dtype=torch.float64)
    sparse[2, 1], sparse[0, 3] = -1.0, 0.5
    monkeypatch.setattr(type(given), "gradient", lambda *_: ({"weight": sparse.clone()}, None))
    masks = [prepared("salun", given, share=share)._mask["weight"] for _ in range(2)]
    assert int(masks[0].sum()) == share * 12
    assert masks[0][2, 1]
    assert masks[0][0, 3]
    assert torch.equal(*masks)

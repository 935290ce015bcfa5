"""Fine-tuning is descent on the retain set."""

import numpy as np

from tests.support.linear_task import RETAIN, by_hand, linear_direction


def test_finetune_descends_the_mean_retain_loss():
    np.testing.assert_allclose(linear_direction("finetune"), by_hand(RETAIN).mean(0), rtol=1e-5)

"""Attack by loss: the lower, the likelier a member (Yeom et al., CSF 2018)."""

from collections.abc import Sequence

import numpy as np

from asr_unlearn.metrics.mia.matching import Observation
from asr_unlearn.metrics.mia.roc import Attack, attack_by_scores


def loss_attack(inside: Sequence[Observation], outside: Sequence[Observation]) -> Attack:
    """Attack matched groups by a threshold on the loss."""
    low, high = (-np.array([o.loss for o in group]) for group in (inside, outside))
    return attack_by_scores(inside, outside, low, high)

"""Attack by neighbours: a member's loss is lower than that of its recording, slightly changed.

Mattern et al., arXiv 2305.18462, for texts. How hard an utterance is raises both losses alike, and
cancels; what was learned of the very recording does not hold nearby.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from asr_unlearn.metrics.mia.matching import Observation
from asr_unlearn.metrics.mia.roc import Attack, attack_by_scores


def neighbours_attack(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    nearby: Mapping[str, Sequence[float]],
) -> Attack:
    """Attack matched groups by the rise of the loss from an utterance to its neighbours.

    Args:
        nearby: the losses of each utterance's neighbours, by id.
    """

    def rises(group: Sequence[Observation]) -> Float[np.ndarray, " n"]:
        return np.array([float(np.mean(nearby[o.id])) - o.loss for o in group])

    return attack_by_scores(inside, outside, rises(inside), rises(outside))

"""What an attacker sees of an utterance, and groups that differ in nothing but membership."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from asr_unlearn.runtime.errors import InputError

# Losses of utterances that a model knows by heart round to zero, which has no logarithm.
FLOOR = 1e-6
# Beside it no difference in length counts for much.
OTHER_CLASS = 1e3


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One utterance as one model took it, and whose it is.

    `loss` is in nats a label; `confidence` and `entropy` are those of `Certainty`, `error_rate`
    is the utterance's WER, and `labels` the length of its transcript; `name` is the right class,
    where there is one. `target` is the loss at which the model's unlearning was to end, 1 where no
    such loss is known.
    """

    id: str
    speaker: str
    loss: float
    seconds: float
    labels: int
    confidence: float
    entropy: float
    error_rate: float
    name: str = ""
    target: float = 1.0


def features(observations: Sequence[Observation]) -> Float[np.ndarray, "n 5"]:
    """Loss a label against the target, loss a second, doubt (1 − confidence), entropy; and WER.

    All but the last in logarithms. Models that forget different speakers end at different targets:
    what gathers there in one model's losses is found again in another's only beside the target.
    """
    rows = [
        (
            np.log((o.loss + FLOOR) / o.target),
            np.log(o.loss * o.labels / o.seconds + FLOOR),
            np.log(1 - o.confidence + FLOOR),
            np.log(o.entropy + FLOOR),
            o.error_rate,
        )
        for o in observations
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 5)


def matched(
    members: Sequence[Observation], others: Sequence[Observation]
) -> tuple[list[Observation], list[Observation]]:
    """Pairs alike in duration and transcript length: as many as the smaller group has.

    Long utterances and long transcripts have other losses than short ones, which must not look
    like a leak. The pairing with the smallest total distance (both lengths in logarithms, scaled
    to unit variance over both groups); of one class, as far as there are enough of it.

    Raises:
        ValueError: a group is empty.
    """
    if not members or not others:
        raise InputError("membership inference needs members and others")

    def lengths(group: Sequence[Observation]) -> Float[np.ndarray, "n 2"]:
        return np.log([[o.seconds, o.labels] for o in group])

    a, b = lengths(members), lengths(others)
    spread = np.concatenate([a, b]).std(axis=0) + 1e-9
    distance = np.linalg.norm(a[:, None] / spread - b[None] / spread, axis=2)
    names = [np.array([o.name for o in group]) for group in (members, others)]
    distance[names[0][:, None] != names[1][None]] += OTHER_CLASS
    rows, columns = linear_sum_assignment(distance)
    return [members[i] for i in rows], [others[j] for j in columns]

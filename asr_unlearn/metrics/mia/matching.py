"""Observations of utterances, and groups of them matched in everything but membership."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import roc_auc_score

from asr_unlearn.runtime.errors import InputError

# Losses of memorised utterances round to zero, which has no logarithm.
FLOOR = 1e-6
# Larger than any difference in length.
OTHER_CLASS = 1e3


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an attack observes of one model on one utterance.

    Attributes:
        loss: in nats per label.
        labels: length of the transcript; 1 for a class.
        confidence, entropy: see `models.tasks.confidence.Certainty`.
        error_rate: the utterance's WER; 0 or 1 for a class.
        name: the true class, of a classifier.
        target: the stop target of the model's unlearning, as a loss; 1 without one.
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


def speakers_of(group: Sequence[Observation]) -> list[str]:
    """Return the speakers of some utterances, each once, sorted by name."""
    return sorted({o.speaker for o in group})


def features(observations: Sequence[Observation]) -> Float[np.ndarray, "n 5"]:
    """Return loss per label over the target, loss per second, 1 − confidence, entropy and WER.

    All but the WER in logarithms. The losses of each model cluster at its own stop target, so that
    only the ratio to it carries over from model to model.
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
    """Return pairs of similar duration and transcript length, as many as the smaller group has.

    Losses depend on both lengths, which must not look like membership. The pairs have the smallest
    total distance (lengths in logarithms, scaled to unit variance over both groups), and the same
    class as far as possible. Groups of equal size are paired as they are: `length_auc` says what is
    left of a difference.

    Raises:
        InputError: a group is empty.
    """
    if not members or not others:
        raise InputError("membership inference needs members and non-members")

    def lengths(group: Sequence[Observation]) -> Float[np.ndarray, "n 2"]:
        return np.log([[o.seconds, o.labels] for o in group])

    a, b = lengths(members), lengths(others)
    spread = np.concatenate([a, b]).std(axis=0) + 1e-9
    distance = np.linalg.norm(a[:, None] / spread - b[None] / spread, axis=2)
    names = [np.array([o.name for o in group]) for group in (members, others)]
    distance[names[0][:, None] != names[1][None]] += OTHER_CLASS
    rows, columns = linear_sum_assignment(distance)
    return [members[i] for i in rows], [others[j] for j in columns]


def length_auc(members: Sequence[Observation], others: Sequence[Observation]) -> float:
    """Return the AUC by which duration or length of text alone separates two groups.

    Of the two the one that is farther from 0.5, which an attack by lengths alone would have.
    """
    truth = np.repeat([1, 0], [len(members), len(others)])
    both = [*members, *others]
    areas = [
        float(roc_auc_score(truth, lengths))
        for lengths in ([o.seconds for o in both], [o.labels for o in both])
    ]
    return max(areas, key=lambda area: abs(area - 0.5))

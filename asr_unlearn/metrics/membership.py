"""Can an attacker tell from the loss that somebody's speech was trained on?

Threshold attack on the loss (Yeom et al., CSF 2018; EVALUATION's attack (a)): forget utterances
are the members, utterances of unseen speakers are not. Long utterances and long transcripts have
other losses than short ones, so the two groups are matched in both before they are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

RESAMPLES = 2000


@dataclass(frozen=True)
class Observation:
    """What an attacker sees of one utterance, and whose it is."""

    speaker: str
    loss: float
    seconds: float
    labels: int


@dataclass(frozen=True)
class Attack:
    """Area under the ROC curve of "the lower the loss, the likelier a member".

    0.5 is guessing. `interval` is a 95% bootstrap over the speakers of both groups, None with
    fewer than two speakers in either. `true_positives` is the share of members found where 1% of
    the others are accused, None with fewer than 100 others.
    """

    auc: float
    interval: tuple[float, float] | None
    true_positives: float | None
    pairs: int


def matched(
    members: Sequence[Observation], others: Sequence[Observation]
) -> tuple[list[Observation], list[Observation]]:
    """Pairs alike in duration and transcript length: as many as the smaller group has.

    The pairing with the smallest total distance (both lengths in logarithms, scaled to unit
    variance over both groups).
    """

    def lengths(group: Sequence[Observation]) -> Float[np.ndarray, "n 2"]:
        return np.log([[o.seconds, o.labels] for o in group])

    a, b = lengths(members), lengths(others)
    spread = np.concatenate([a, b]).std(axis=0) + 1e-9
    distance = np.linalg.norm(a[:, None] / spread - b[None] / spread, axis=2)
    rows, columns = linear_sum_assignment(distance)
    return [members[i] for i in rows], [others[j] for j in columns]


def loss_attack(
    members: Sequence[Observation], others: Sequence[Observation], *, seed: int = 0
) -> Attack:
    """The attack on matched groups.

    Raises:
        ValueError: a group is empty.
    """
    if not members or not others:
        raise ValueError("membership inference needs members and others")
    inside, outside = matched(members, others)
    low, high = (np.array([o.loss for o in group]) for group in (inside, outside))
    # The probability that a member's loss is the lower of two, ties counting half.
    wins = (low[:, None] < high[None]) + 0.5 * (low[:, None] == high[None])
    found = None
    if len(outside) >= 100:
        found = float((low < np.quantile(high, 0.01)).mean())
    return Attack(
        auc=float(wins.mean()),
        interval=_interval(wins, inside, outside, seed),
        true_positives=found,
        pairs=len(inside),
    )


def _interval(
    wins: Float[np.ndarray, "n m"],
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    seed: int,
) -> tuple[float, float] | None:
    rng = np.random.default_rng(seed)
    weights = []
    for group in (inside, outside):
        belongs = _speakers(group)
        if len(belongs) < 2:
            return None
        draws = rng.multinomial(len(belongs), [1 / len(belongs)] * len(belongs), size=RESAMPLES)
        weights.append(draws @ belongs)
    a, b = weights
    areas = ((a @ wins) * b).sum(axis=1) / (a.sum(axis=1) * b.sum(axis=1))
    lower, upper = np.quantile(areas, [0.025, 0.975])
    return float(lower), float(upper)


def _speakers(group: Sequence[Observation]) -> Bool[np.ndarray, "speakers n"]:
    """Which utterances each speaker has."""
    names = np.array([o.speaker for o in group])
    belongs: Bool[np.ndarray, "speakers n"] = np.unique(names)[:, None] == names[None]
    return belongs

"""How good an attack is: area under the ROC curve, its interval, and rates at few false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from asr_unlearn.metrics.bootstrap import RESAMPLES, percentile_interval
from asr_unlearn.metrics.membership.observations import Observation


@dataclass(frozen=True)
class Attack:
    """How often a member looks more like one than somebody who is not; 0.5 is guessing.

    Attributes:
        auc: area under the ROC curve.
        interval: 95%, by bootstrap over the speakers of both groups; None with fewer than two
            speakers in either. An attacker who was trained stays as he is, so that the interval
            of a cross-validated one holds some 83 times of 100 with seven speakers.
        tpr_at_1_percent, tpr_at_0_1_percent: share of members found where that share of the
            others is accused; None where a member is compared with fewer than 100, or 1000.
    """

    auc: float
    interval: tuple[float, float] | None
    tpr_at_1_percent: float | None
    tpr_at_0_1_percent: float | None


def wins(
    inside: Float[np.ndarray, " n"], outside: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "n m"]:
    """1 where the member has the higher score, ½ where both have the same."""
    won: Float[np.ndarray, "n m"] = (inside[:, None] > outside[None]) + 0.5 * (
        inside[:, None] == outside[None]
    )
    return won


def attack_by_scores(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    inside_scores: Float[np.ndarray, " n"],
    outside_scores: Float[np.ndarray, " m"],
    *,
    seed: int = 0,
) -> Attack:
    """The attack that gives each utterance one score."""
    won = wins(inside_scores, outside_scores)
    return attack_by_wins(inside, outside, won, np.ones_like(won), seed=seed)


def attack_by_wins(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    won: Float[np.ndarray, "n m"],
    compared: Float[np.ndarray, "n m"],
    *,
    seed: int = 0,
) -> Attack:
    """The attack that has compared each pair `compared` times, by several attackers perhaps.

    Scores of different attackers are not comparable, so that only the pairs which one and the
    same attacker has seen count.
    """
    alarms = 1 - won.sum(axis=1) / compared.sum(axis=1)
    fewest = (compared > 0).sum(axis=1).min()

    def found(rate: float) -> float | None:
        return float((alarms <= rate + 1e-12).mean()) if fewest * rate >= 1 else None

    return Attack(
        auc=float(won.sum() / compared.sum()),
        interval=_interval(inside, outside, won, compared, seed),
        tpr_at_1_percent=found(0.01),
        tpr_at_0_1_percent=found(0.001),
    )


def _interval(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    won: Float[np.ndarray, "n m"],
    compared: Float[np.ndarray, "n m"],
    seed: int,
) -> tuple[float, float] | None:
    rng = np.random.default_rng(seed)
    rows, columns = speaker_masks(inside), speaker_masks(outside)
    if len(rows) < 2 or len(columns) < 2:
        return None
    a, b = (
        rng.multinomial(len(masks), [1 / len(masks)] * len(masks), size=RESAMPLES)
        for masks in (rows, columns)
    )
    # Sums over pairs of speakers first: as many as there are speakers is little to resample.
    above, below = (((a @ (rows @ pairs @ columns.T)) * b).sum(axis=1) for pairs in (won, compared))
    areas = above[below > 0] / below[below > 0]
    return percentile_interval(areas, [len(rows), len(columns)])


def speaker_masks(group: Sequence[Observation]) -> Bool[np.ndarray, "speakers n"]:
    """Which utterances each speaker has, by name."""
    names: Shaped[np.ndarray, " n"] = np.array([o.speaker for o in group])
    belongs: Bool[np.ndarray, "speakers n"] = np.unique(names)[:, None] == names[None]
    return belongs

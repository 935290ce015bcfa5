"""How good an attack is: area under the ROC curve, its interval, and rates at few false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from asr_unlearn.metrics.bootstrap import RESAMPLES, percentile_interval
from asr_unlearn.metrics.mia.matching import Observation


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


@dataclass(frozen=True)
class Comparisons:
    """Of each of n members with each of m others: how often the member had the higher score, how
    often both had the same, and how often they were compared, by several attackers perhaps.

    Scores of different attackers are not comparable, so that only the pairs which one and the
    same attacker has seen count.
    """

    higher: Float[np.ndarray, "n m"]
    equal: Float[np.ndarray, "n m"]
    times: Float[np.ndarray, "n m"]

    @classmethod
    def none(cls, members: int, others: int) -> "Comparisons":
        return cls(*np.zeros((3, members, others)))

    def add(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        inside: Float[np.ndarray, " r"],
        outside: Float[np.ndarray, " c"],
    ) -> None:
        """One attacker's scores of the members `rows` and the others `columns`."""
        cells = np.ix_(rows, columns)
        self.higher[cells] += inside[:, None] > outside[None]
        self.equal[cells] += inside[:, None] == outside[None]
        self.times[cells] += 1

    @property
    def won(self) -> Float[np.ndarray, "n m"]:
        """Half a win where the scores are the same, as in the area under the ROC curve."""
        return self.higher + 0.5 * self.equal


def attack_by_scores(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    inside_scores: Float[np.ndarray, " n"],
    outside_scores: Float[np.ndarray, " m"],
    *,
    seed: int = 0,
) -> Attack:
    """The attack that gives each utterance one score."""
    found = Comparisons.none(len(inside), len(outside))
    found.add(range(len(inside)), range(len(outside)), inside_scores, outside_scores)
    return attack_by_comparisons(inside, outside, found, seed=seed)


def attack_by_comparisons(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    found: Comparisons,
    *,
    seed: int = 0,
) -> Attack:
    """The attack of several attackers, each of whom has seen some of the pairs."""
    # Who accuses a member accuses all that have the same score.
    alarms = 1 - found.higher.sum(axis=1) / found.times.sum(axis=1)
    fewest = (found.times > 0).sum(axis=1).min()

    def caught(rate: float) -> float | None:
        return float((alarms <= rate + 1e-12).mean()) if fewest * rate >= 1 else None

    return Attack(
        auc=float(found.won.sum() / found.times.sum()),
        interval=_interval(inside, outside, found, seed),
        tpr_at_1_percent=caught(0.01),
        tpr_at_0_1_percent=caught(0.001),
    )


def _interval(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    found: Comparisons,
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
    above, below = (
        ((a @ (rows @ pairs @ columns.T)) * b).sum(axis=1) for pairs in (found.won, found.times)
    )
    areas = above[below > 0] / below[below > 0]
    return percentile_interval(areas, [len(rows), len(columns)])


def speaker_masks(group: Sequence[Observation]) -> Bool[np.ndarray, "speakers n"]:
    """Which utterances each speaker has, by name."""
    names: Shaped[np.ndarray, " n"] = np.array([o.speaker for o in group])
    belongs: Bool[np.ndarray, "speakers n"] = np.unique(names)[:, None] == names[None]
    return belongs

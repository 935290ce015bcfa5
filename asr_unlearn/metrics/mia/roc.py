"""Success of an attack: AUC, its interval, and true positive rates at few false positives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from asr_unlearn.metrics.intervals import RESAMPLES, percentile_interval
from asr_unlearn.metrics.mia.matching import Observation, speakers_of
from asr_unlearn.metrics.mia.speakers import SpeakerAttack, SpeakerScores

# Of a group: an AUC's interval with fewer does not cover 95%.
FEWEST_SPEAKERS = 4


@dataclass(frozen=True)
class Attack:
    """Success of an attack.

    Attributes:
        auc: area under the ROC curve; 0.5 is guessing.
        interval: 95% interval of the AUC, by bootstrap over the speakers; None with fewer than
            four speakers in a group, and for a classifier that is cross-validated over
            the attacked speakers. It would have to be trained again on each resample: without
            that, intervals with seven speakers cover 83%.
        tpr_at_1_percent_fpr, tpr_at_0_1_percent_fpr: true positive rate where a non-member is
            taken for a member with a probability of at most 1% and 0.1%; None where a member is
            compared with fewer than 100, or 1000, non-members.
        speakers: success on speakers instead of utterances; None where a speaker is in both groups.
    """

    auc: float
    interval: tuple[float, float] | None
    tpr_at_1_percent_fpr: float | None
    tpr_at_0_1_percent_fpr: float | None
    speakers: SpeakerAttack | None


@dataclass(frozen=True)
class Comparisons:
    """Counts of comparisons between each of n members and each of m non-members.

    Scores of different classifiers are not comparable: each compares only the pairs that it scores.

    Attributes:
        inside, outside: members and non-members.
        higher: how often the member had the higher score.
        equal: how often both had the same score.
        times: how often they were compared.
        speakers: the comparisons between speakers; None where a speaker is in both groups.
    """

    inside: Sequence[Observation]
    outside: Sequence[Observation]
    higher: Float[np.ndarray, "n m"]
    equal: Float[np.ndarray, "n m"]
    times: Float[np.ndarray, "n m"]
    speakers: SpeakerScores | None

    @classmethod
    def none(cls, inside: Sequence[Observation], outside: Sequence[Observation]) -> "Comparisons":
        """Return no comparisons yet."""
        higher, equal, times = np.zeros((3, len(inside), len(outside)))
        speakers = SpeakerScores.none(inside, outside)
        return cls(inside, outside, higher, equal, times, speakers)

    def add(
        self,
        rows: Sequence[int],
        columns: Sequence[int],
        inside: Float[np.ndarray, " r"],
        outside: Float[np.ndarray, " c"],
    ) -> None:
        """Add the scores, by one classifier, of the members `rows` and non-members `columns`."""
        cells = np.ix_(rows, columns)
        self.higher[cells] += inside[:, None] > outside[None]
        self.equal[cells] += inside[:, None] == outside[None]
        self.times[cells] += 1
        if self.speakers is not None:
            scored = [*(self.inside[i] for i in rows), *(self.outside[j] for j in columns)]
            self.speakers.add(scored, np.concatenate([inside, outside]))

    @property
    def won(self) -> Float[np.ndarray, "n m"]:
        """How often the member won; a tie is half a win, as in the AUC."""
        return self.higher + 0.5 * self.equal


def attack_by_scores(
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    inside_scores: Float[np.ndarray, " n"],
    outside_scores: Float[np.ndarray, " m"],
) -> Attack:
    """Return the success of an attack that gives each utterance one score."""
    found = Comparisons.none(inside, outside)
    found.add(range(len(inside)), range(len(outside)), inside_scores, outside_scores)
    return attack_by_comparisons(found)


def attack_by_comparisons(found: Comparisons, *, cross_validated: bool = False) -> Attack:
    """Return the success of an attack by several classifiers, each scoring some of the pairs.

    Args:
        cross_validated: whether the classifiers were trained on other attacked speakers.
    """
    # A threshold that accepts a member accepts everything with the same score. A member counts as
    # one more non-member: the share of the others alone would be right by chance twice as often as
    # the rate says, with a hundred of them.
    others = (found.times > 0).sum(axis=1)
    alarms = others * (1 - found.higher.sum(axis=1) / found.times.sum(axis=1))

    def caught(rate: float) -> float | None:
        found_by = (alarms + 1) / (others + 1) <= rate + 1e-12
        return float(found_by.mean()) if others.min() * rate >= 1 else None

    return Attack(
        auc=float(found.won.sum() / found.times.sum()),
        interval=None if cross_validated else _interval(found),
        tpr_at_1_percent_fpr=caught(0.01),
        tpr_at_0_1_percent_fpr=caught(0.001),
        speakers=None if found.speakers is None else found.speakers.attack(),
    )


def _interval(found: Comparisons) -> tuple[float, float] | None:
    names = [speakers_of(group) for group in (found.inside, found.outside)]
    if min(map(len, names)) < FEWEST_SPEAKERS:
        return None
    # A speaker of both groups is drawn equally often for both.
    shared = not set(names[0]).isdisjoint(names[1])
    groups = [sorted({*names[0], *names[1]})] if shared else names
    rng = np.random.default_rng(0)
    drawn: dict[str, Int[np.ndarray, " d"]] = {}
    for group in groups:
        times = rng.multinomial(len(group), [1 / len(group)] * len(group), size=RESAMPLES)
        drawn |= zip(group, times.T, strict=True)
    a, b = (np.stack([drawn[name] for name in own], axis=1) for own in names)
    rows, columns = _masks(found.inside, names[0]), _masks(found.outside, names[1])
    # Summed over pairs of speakers first, which leaves less to resample.
    above, below = (
        ((a @ (rows @ pairs @ columns.T)) * b).sum(axis=1) for pairs in (found.won, found.times)
    )
    areas = above[below > 0] / below[below > 0]
    return percentile_interval(areas, list(map(len, groups)))


def _masks(group: Sequence[Observation], speakers: Sequence[str]) -> Bool[np.ndarray, "speakers n"]:
    """Which utterances each speaker has."""
    return np.array([[o.speaker == name for o in group] for name in speakers])

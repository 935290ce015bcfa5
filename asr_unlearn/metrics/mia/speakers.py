"""Was a speaker in the training data? All utterances of a speaker together.

A deletion request names speakers, not utterances. A speaker's score is the mean score of the
speaker's utterances, among those that `matched` chose: without matching, a speaker of long
utterances would have another mean loss, whether trained on or not. Utterances of one speaker are
not independent, but speakers are, so a permutation test over speakers is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Bool, Float

from asr_unlearn.metrics.intervals import RESAMPLES
from asr_unlearn.metrics.mia.matching import Observation, speakers_of

# Up to so many ways to choose the members, all are compared; beyond that, RESAMPLES random ones.
ALL_CHOICES = 20_000
# Equal sums that were added in another order.
ROUNDING = 1e-9


@dataclass(frozen=True)
class SpeakerAttack:
    """Success of an attack on speakers.

    Attributes:
        auc: share of the pairs of a member and a non-member in which the member has the higher
            score; 0.5 is guessing.
        p: probability of an AUC as high or higher if the members were any so many of the speakers;
            one-sided, since the direction of an attack is fixed.
    """

    auc: float
    p: float


@dataclass(frozen=True)
class SpeakerScores:
    """Counts of comparisons between each two of S speakers, members first.

    Scores of different classifiers are not comparable: each compares the speakers that it scores.

    Attributes:
        names: of the speakers.
        members: how many of them are members.
        won: how often the speaker of the row had the higher score; a tie is half a win.
        times: how often they were compared.
    """

    names: tuple[str, ...]
    members: int
    won: Float[np.ndarray, "S S"]
    times: Float[np.ndarray, "S S"]

    @classmethod
    def none(
        cls, inside: Sequence[Observation], outside: Sequence[Observation]
    ) -> "SpeakerScores | None":
        """Return no comparisons yet; None where a speaker is in both groups."""
        members, others = speakers_of(inside), speakers_of(outside)
        if not set(members).isdisjoint(others):
            return None
        names = (*members, *others)
        return cls(names, len(members), *np.zeros((2, len(names), len(names))))

    def add(self, scored: Sequence[Observation], scores: Float[np.ndarray, " n"]) -> None:
        """Add the scores of utterances by one classifier: it compares the means of the speakers."""
        index = {name: i for i, name in enumerate(self.names)}
        of = np.array([index[o.speaker] for o in scored])
        present = np.unique(of)
        means = np.array([scores[of == i].mean() for i in present])
        cells = np.ix_(present, present)
        self.won[cells] += (means[:, None] > means) + 0.5 * (means[:, None] == means)
        self.times[cells] += 1

    def attack(self) -> SpeakerAttack | None:
        """Return the AUC over speakers and its p; None if no member met a non-member.

        Choices of members that no classifier compared with others are left out. The p of a
        classifier that was trained on the membership of the other speakers is approximate.
        """
        chosen, every = _choices(len(self.names), self.members)
        areas = self._areas(chosen)
        own = self._areas((np.arange(len(self.names)) < self.members)[None])[0]
        if np.isnan(own):
            return None
        as_high = areas[~np.isnan(areas)] >= own - ROUNDING
        # A random sample does not have the true choice, which is one of those to be counted.
        p = as_high.mean() if every else (1 + as_high.sum()) / (1 + len(as_high))
        return SpeakerAttack(float(own), float(p))

    def _areas(self, chosen: Bool[np.ndarray, "choices S"]) -> Float[np.ndarray, " choices"]:
        """The AUC for each choice of members; NaN for one without comparisons."""
        inside = chosen.astype(float)
        above, below = (
            ((inside @ counts) * (1 - inside)).sum(axis=1) for counts in (self.won, self.times)
        )
        areas: Float[np.ndarray, " choices"] = np.full(len(chosen), np.nan)
        np.divide(above, below, out=areas, where=below > 0)
        return areas


def _choices(speakers: int, members: int) -> tuple[Bool[np.ndarray, "choices S"], bool]:
    """Ways to choose the members among the speakers, and whether these are all ways."""
    if comb(speakers, members) <= ALL_CHOICES:
        every = np.array(list(combinations(range(speakers), members)))
        chosen = np.zeros((len(every), speakers), dtype=bool)
        np.put_along_axis(chosen, every, values=True, axis=1)
        return chosen, True
    own = np.tile(np.arange(speakers) < members, (RESAMPLES, 1))
    return np.random.default_rng(0).permuted(own, axis=1), False

"""Attack (c): the attacker has unlearned other speakers with the same method, and looks at how.

A method leaves traces: losses that gather where its rule ends, a confidence that does not go with
the loss. An attacker who has forgotten others from the same model, by the same method, knows them
(arXiv 2609.34092 reports such an "informed" AUC; Chen et al., CCS 2021, is the first to attack
what unlearning leaves).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_unlearn.metrics.mia.classifier import fitted, scores
from asr_unlearn.metrics.mia.matching import Observation
from asr_unlearn.metrics.mia.roc import Attack, Comparisons, attack_by_comparisons


@dataclass(frozen=True)
class Known:
    """What one model of the attacker's own makes of those it has forgotten, and of strangers."""

    forgotten: Sequence[Observation]
    strangers: Sequence[Observation]


def informed_attack(
    known: Sequence[Known],
    inside: Sequence[Observation],
    outside: Sequence[Observation],
    *,
    seed: int = 0,
) -> Attack | None:
    """The attack on matched groups by a classifier that learns from the attacker's own models.

    Their strangers are the same people as ours. So the attacker learns from one half of them and
    is asked about the other, and then the other way round: no stranger is in both. None with
    fewer than two unseen speakers.
    """
    names = sorted({o.speaker for o in outside})
    if len(names) < 2:
        return None
    order = np.random.default_rng(seed).permutation(names)
    found = Comparisons.none(len(inside), len(outside))
    for half in (set(order[::2].tolist()), set(order[1::2].tolist())):
        classifier = fitted(
            [o for model in known for o in model.forgotten],
            [o for model in known for o in model.strangers if o.speaker not in half],
            seed,
        )
        columns = [j for j, o in enumerate(outside) if o.speaker in half]
        asked = [outside[j] for j in columns]
        rows = range(len(inside))
        found.add(rows, columns, scores(classifier, inside), scores(classifier, asked))
    return attack_by_comparisons(inside, outside, found, seed=seed)

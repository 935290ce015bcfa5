"""Informed attack: a classifier trained on models with other speakers unlearned by the same method.

A method leaves traces: losses that cluster at its stop target, confidences that do not fit the
loss. An attacker who unlearns other speakers from the same original, by the same method, can learn
them (an "informed" AUC is in arXiv 2609.34092; Chen et al., CCS 2021, is the first attack on
unlearning).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_unlearn.metrics.mia.classifier import fitted, scores
from asr_unlearn.metrics.mia.matching import Observation, speakers_of
from asr_unlearn.metrics.mia.roc import Attack, Comparisons, attack_by_comparisons


@dataclass(frozen=True)
class KnownUnlearning:
    """Observations of one of the attacker's models, of its forgotten and of unseen speakers."""

    forgotten: Sequence[Observation]
    unseen: Sequence[Observation]


def informed_attack(
    known: Sequence[KnownUnlearning],
    inside: Sequence[Observation],
    outside: Sequence[Observation],
) -> Attack | None:
    """Attack matched groups by a classifier that is trained on the attacker's own models.

    Those have the same unseen speakers as the attacked model. So the classifier is trained on one
    half of the unseen speakers and attacks the other half, and vice versa. None with fewer than two
    unseen speakers.
    """
    names = speakers_of(outside)
    if len(names) < 2:
        return None
    order = np.random.default_rng(0).permutation(names)
    found = Comparisons.none(inside, outside)
    for half in (set(order[::2].tolist()), set(order[1::2].tolist())):
        classifier = fitted(
            [o for model in known for o in model.forgotten],
            [o for model in known for o in model.unseen if o.speaker not in half],
            0,
        )
        columns = [j for j, o in enumerate(outside) if o.speaker in half]
        attacked = [outside[j] for j in columns]
        rows = range(len(inside))
        found.add(rows, columns, scores(classifier, inside), scores(classifier, attacked))
    return attack_by_comparisons(found)

"""Attack by a classifier that is trained on the membership of other speakers.

Shokri et al. (S&P 2017) and Salem et al. (NDSS 2019), with features of a recogniser. Speakers are
either in the classifier's training data or attacked, with all their utterances of both groups:
recognising a speaker is not evidence of membership.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from asr_unlearn.metrics.mia.matching import Observation, features, speakers_of
from asr_unlearn.metrics.mia.roc import Attack, Comparisons, attack_by_comparisons

FOLDS, REPEATS = 5, 3


def make_classifier(seed: int) -> VotingClassifier:
    """Return the mean of a logistic regression, which finds a shift, and boosted trees, which find
    a spike in the losses. Both classes weigh the same."""
    logistic = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    trees = HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=8,
        min_samples_leaf=8,
        early_stopping=False,
        class_weight="balanced",
        random_state=seed,
    )
    return VotingClassifier([("logistic", logistic), ("trees", trees)], voting="soft")


def fitted(
    inside: Sequence[Observation], outside: Sequence[Observation], seed: int
) -> VotingClassifier:
    """Return a classifier trained on members (1) and non-members (0)."""
    known = np.concatenate([features(inside), features(outside)])
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    return make_classifier(seed).fit(known, truth)


def scores(classifier: VotingClassifier, group: Sequence[Observation]) -> Float[np.ndarray, " n"]:
    """Return the probability, by the classifier, that each is a member."""
    sure: Float[np.ndarray, " n"] = classifier.predict_proba(features(group))[:, 1]
    return sure


def classifier_attack(
    inside: Sequence[Observation], outside: Sequence[Observation]
) -> Attack | None:
    """Attack matched groups, with repeated cross-validation over speakers.

    A member is compared with the non-members of the same fold, scored by the same classifier. None
    with fewer than two speakers in a group: none would be left to train on.
    """
    members, others = speakers_of(inside), speakers_of(outside)
    folds = min(FOLDS, len(members), len(others))
    if folds < 2:
        return None
    rng = np.random.default_rng(0)
    found = Comparisons.none(inside, outside)
    for repeat in range(REPEATS):
        fold_of = _folds(members, others, folds, rng)
        ours, theirs = (np.array([fold_of[o.speaker] for o in own]) for own in (inside, outside))
        for fold in range(folds):
            classifier = fitted(
                [o for o, f in zip(inside, ours, strict=True) if f != fold],
                [o for o, f in zip(outside, theirs, strict=True) if f != fold],
                repeat,
            )
            rows, columns = (np.flatnonzero(of == fold).tolist() for of in (ours, theirs))
            found.add(
                rows,
                columns,
                scores(classifier, [inside[i] for i in rows]),
                scores(classifier, [outside[j] for j in columns]),
            )
    return attack_by_comparisons(found, cross_validated=True)


def _folds(
    members: Sequence[str], others: Sequence[str], folds: int, rng: np.random.Generator
) -> dict[str, int]:
    """The fold of each speaker. Folds have equally many speakers of each group, and of both."""
    both = set(members) & set(others)
    # Members and others are both dealt on after those who are both, so that no fold lacks any.
    groups = (
        (sorted(both), 0),
        (sorted(set(members) - both), len(both)),
        (sorted(set(others) - both), len(both)),
    )
    return {
        name: (first + int(number)) % folds
        for group, first in groups
        for name, number in zip(group, rng.permutation(len(group)), strict=True)
    }

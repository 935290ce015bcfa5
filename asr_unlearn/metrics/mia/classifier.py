"""Attack (b): a classifier that has been told of some speakers who was a member.

Shokri et al. (S&P 2017) and Salem et al. (NDSS 2019) with the features of a recogniser. Members
and others are told apart for speakers that the classifier has not been told of: an attacker who
recognises a speaker again has learned nothing about training.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from asr_unlearn.metrics.mia.matching import Observation, features
from asr_unlearn.metrics.mia.roc import Attack, Comparisons, attack_by_comparisons, speaker_masks

FOLDS, REPEATS = 5, 3


def make_classifier(seed: int) -> VotingClassifier:
    """The mean of a logistic regression, which sees a shift, and of boosted trees, which see a
    spike; as much weight on members as on others."""
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
    """A classifier of members (1) and others (0)."""
    known = np.concatenate([features(inside), features(outside)])
    truth = np.repeat([1, 0], [len(inside), len(outside)])
    return make_classifier(seed).fit(known, truth)


def scores(classifier: VotingClassifier, group: Sequence[Observation]) -> Float[np.ndarray, " n"]:
    """How sure the classifier is that each is a member."""
    sure: Float[np.ndarray, " n"] = classifier.predict_proba(features(group))[:, 1]
    return sure


def classifier_attack(
    inside: Sequence[Observation], outside: Sequence[Observation], *, seed: int = 0
) -> Attack | None:
    """The attack on groups that are matched, cross-validated over speakers, several times over.

    A member is compared with the others of the same fold, scored by the same classifier. None
    with fewer than two speakers in either group, where nobody is left to learn from.
    """
    folds = min(FOLDS, len(speaker_masks(inside)), len(speaker_masks(outside)))
    if folds < 2:
        return None
    rng = np.random.default_rng(seed)
    found = Comparisons.none(len(inside), len(outside))
    for repeat in range(REPEATS):
        ours, theirs = (_folds(group, folds, rng) for group in (inside, outside))
        for fold in range(folds):
            classifier = fitted(
                [o for o, f in zip(inside, ours, strict=True) if f != fold],
                [o for o, f in zip(outside, theirs, strict=True) if f != fold],
                seed + repeat,
            )
            rows, columns = (np.flatnonzero(of == fold).tolist() for of in (ours, theirs))
            found.add(
                rows,
                columns,
                scores(classifier, [inside[i] for i in rows]),
                scores(classifier, [outside[j] for j in columns]),
            )
    return attack_by_comparisons(inside, outside, found, seed=seed)


def _folds(
    group: Sequence[Observation], folds: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """The fold of each utterance: that of its speaker, as many speakers in one as in another."""
    masks = speaker_masks(group)
    fold_of: Int[np.ndarray, " speakers"] = rng.permutation(len(masks)) % folds
    own: Int[np.ndarray, " n"] = fold_of[masks.argmax(axis=0)]
    return own

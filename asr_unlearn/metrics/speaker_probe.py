"""Does the encoder still represent who is speaking?

A linear classifier of speakers on mean-pooled encoder states. Compare its accuracy on the forget
speakers with the retrained model's: a probe recognises speakers that a model was not trained on,
too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from asr_unlearn.metrics.accuracy import accuracy

FOLDS = 4


@dataclass(frozen=True)
class Probe:
    """Accuracy of the probe on forget and retain speakers, with 95% intervals over speakers."""

    forget: float
    retain: float
    forget_interval: tuple[float, float] | None
    retain_interval: tuple[float, float] | None
    chance: float


def probe(
    states: Float[np.ndarray, "N C"],
    speakers: Sequence[str],
    forget: Collection[str],
) -> Probe | None:
    """Return the accuracy of a logistic regression, cross-validated within each speaker.

    Each utterance is classified by a probe that was trained on other utterances of all speakers.
    Speakers with fewer utterances than folds are left out.

    Args:
        states: mean encoder state of each utterance.
        forget: the forget speakers.

    Returns:
        None where no forget speaker, or no other one, is left.
    """
    names, counts = np.unique(speakers, return_counts=True)
    enough = set(names[counts >= FOLDS].tolist())
    chosen = np.array([speaker in enough for speaker in speakers])
    labels = np.array(speakers)[chosen]
    forgotten = np.isin(labels, list(forget))
    if not forgotten.any() or forgotten.all():
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    named = cross_val_predict(classifier, states[chosen], labels, cv=folds)
    wrong = (named != labels).astype(int)
    (forget_share, forget_interval), (retain_share, retain_interval) = (
        accuracy(wrong[mask].tolist(), labels[mask].tolist()) for mask in (forgotten, ~forgotten)
    )
    return Probe(
        forget=forget_share,
        retain=retain_share,
        forget_interval=forget_interval,
        retain_interval=retain_interval,
        chance=1 / len(enough),
    )

"""Does the recogniser still tell who is speaking?

EVALUATION's probe: a linear classifier of speakers on mean-pooled encoder states. What it finds on
the forget speakers is to be read beside the retrained model's figure: voices that a model has never
met can be told apart too.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from asr_unlearn.metrics.wer import Errors, rate, speaker_interval

FOLDS = 4


@dataclass(frozen=True)
class Probe:
    """Shares of utterances whose speaker is named right, with 95% intervals over speakers."""

    forget: float
    retain: float
    forget_interval: tuple[float, float] | None
    retain_interval: tuple[float, float] | None
    chance: float


def probe(
    states: Float[np.ndarray, "N C"],
    speakers: Sequence[str],
    forget: Collection[str],
    *,
    seed: int = 0,
) -> Probe | None:
    """Accuracy of a logistic regression, cross-validated over utterances within each speaker.

    Each utterance is named by a classifier that was trained on others of the same speakers.
    Speakers with fewer utterances than folds are left out; None where no forget speaker or no
    other one is left.
    """
    names, counts = np.unique(speakers, return_counts=True)
    enough = set(names[counts >= FOLDS].tolist())
    chosen = np.array([speaker in enough for speaker in speakers])
    labels = np.array(speakers)[chosen]
    forgotten = np.isin(labels, list(forget))
    if not forgotten.any() or forgotten.all():
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    named = cross_val_predict(classifier, states[chosen], labels, cv=folds)
    accuracy, interval = {}, {}
    for part, mask in (("forget", forgotten), ("retain", ~forgotten)):
        wrong = [Errors(int(w), 1) for w in (named != labels)[mask]]
        accuracy[part] = 1 - rate(wrong)
        bounds = speaker_interval(wrong, labels[mask].tolist())
        interval[part] = bounds and (1 - bounds[1], 1 - bounds[0])
    return Probe(
        accuracy["forget"],
        accuracy["retain"],
        interval["forget"],
        interval["retain"],
        chance=1 / len(enough),
    )

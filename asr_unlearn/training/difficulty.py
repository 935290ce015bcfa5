"""How hard forget speakers are to recognise, relative to others, by a model's losses on both."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.inference import UtteranceLoss
from asr_unlearn.runtime.errors import InputError

# An unseen speaker's loss grows like this power of what it would be after training on the speaker
# (see `difficulty`): measured on AN4, on 24 pairs of models of which one was trained on a speaker
# and the other was not.
POWER = 0.4
# And like this power of the loss by a small recogniser that was trained on neither group: of 0 to
# 2.5, what best predicts the losses of seven of AN4's unseen speakers from seven others'.
REFERENCE_POWER = 1.5
# It falls like this power of the number of training speakers: reference models of 26 and of 53 of
# AN4's speakers, on two forget lists (1.27 and 0.69 on average).
SPEAKERS_POWER = 0.86
# An estimate from a few speakers should not decide alone.
BOUNDS = (0.5, 2.0)
# Standard deviation, over the requests of four corpora, of the logarithm of the ratio of a
# retrained model's loss on the forget speakers to its original's on unseen ones (0.78 to 1.20).
SPREAD = 0.15


def difficulty(
    forget: Sequence[UtteranceLoss], others: Sequence[UtteranceLoss], power: float = POWER
) -> float:
    """The factor by which unseen speakers' loss would rise if they were as hard as the forget ones.

    It is the ratio of the groups' mean losses to that power, between 0.5 and 2. The means are over
    utterances: means over speakers would depend on how many utterances of each were measured.

    Args:
        forget: losses of the forget set.
        others: losses of a sample of the retain utterances, by the same model, which was trained on
            both groups.
        power: with `REFERENCE_POWER` the losses are a reference model's, and `others` are the
            unseen utterances.

    Raises:
        InputError: a group is empty.
    """
    if not forget or not others:
        raise InputError("difficulty is measured on forget speakers and others")
    hard, usual = (float(np.mean([one.loss for one in group])) for group in (forget, others))
    return float(np.clip((max(hard, 0.0) / max(usual, 1e-12)) ** power, *BOUNDS))


def shrunk_difficulty(forget: Sequence[UtteranceLoss], others: Sequence[UtteranceLoss]) -> float:
    """`difficulty`, drawn towards 1 the more it depends on a few utterances.

    Most losses of a model on its training utterances are near 0 and a few are large, so that a mean
    over a sample is uncertain. The logarithm of the ratio is multiplied by s² / (s² + v): the best
    linear estimate where it is normally distributed around 0 with variance s² (`SPREAD`) and
    measured with variance v, that of the logarithms of the two means.
    """
    variance = POWER**2 * (_relative_variance(forget) + _relative_variance(others))
    share = SPREAD**2 / (SPREAD**2 + variance)
    return float(difficulty(forget, others) ** share)


def _relative_variance(losses: Sequence[UtteranceLoss]) -> float:
    """The variance of the mean divided by its square; infinite where it cannot be known."""
    values = np.array([one.loss for one in losses])
    if len(values) < 2 or values.mean() <= 0:
        return math.inf
    return float(values.var(ddof=1) / values.mean() ** 2 / len(values))


def hardness(losses: Sequence[UtteranceLoss], power: float) -> list[float]:
    """For each utterance its speaker's mean loss to that power."""
    by_speaker: defaultdict[str, list[float]] = defaultdict(list)
    for one in losses:
        by_speaker[one.utterance.speaker].append(one.loss)
    hard = {name: float(np.mean(own) ** power) for name, own in by_speaker.items()}
    return [hard[one.utterance.speaker] for one in losses]


def fewer_speakers_factor(forget: Sequence[Utterance], retain: Sequence[Utterance]) -> float:
    """The factor by which unseen speakers' loss is higher after training on the retain set alone.

    A model trained on fewer speakers than the original generalises less. 1 without a retain set,
    when the number of training speakers is unknown.
    """
    kept = {u.speaker for u in retain}
    everybody = kept | {u.speaker for u in forget}
    return float((len(everybody) / len(kept)) ** SPEAKERS_POWER) if kept else 1.0

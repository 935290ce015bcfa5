"""How a model would treat the forget speakers, had it never met them: the level to forget down to.

Nobody who needs unlearning can measure it. How the model treats people it has really never met is
the nearest that can be measured, but some people are harder to recognise than others, whether they
were trained on or not: a forget list of such people is not forgotten yet at the loss of the average
stranger.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

import numpy as np

from asr_unlearn.manifest import Utterance
from asr_unlearn.metrics.bootstrap import ratio_interval
from asr_unlearn.scoring import Heard, Level

# A stranger's loss grows like this power of what it would be after training (see `difficulty`).
POWER = 0.4
# What is known of the difficulty of a few speakers should not decide alone.
BOUNDS = (0.5, 2.0)
# Enough of the retain set to know how hard its people are.
SPEAKERS, UTTERANCES = 50, 20


def difficulty(forget: Sequence[Heard], retain: Sequence[Heard]) -> float:
    """How much higher a stranger's loss would be, were strangers as hard as the forget speakers.

    The ratio of the groups' means of ℓ^0.4, ℓ the mean loss of an utterance's speaker, on the model
    that was trained on both groups. Losses differ by far more among people trained on than among
    strangers. The power was measured on AN4, on 24 pairs of models of which one had met a speaker
    and the other had not, none of them retrained for this. Between 0.5 and 2.

    Raises:
        ValueError: a group is empty.
    """
    if not forget or not retain:
        raise ValueError("difficulty is measured on forget and retain utterances")
    ratio = _mean_power(forget) / max(_mean_power(retain), 1e-12)
    return float(np.clip(ratio, *BOUNDS))


def _mean_power(heard: Sequence[Heard]) -> float:
    losses: defaultdict[str, list[float]] = defaultdict(list)
    for one in heard:
        losses[one.utterance.speaker].append(one.loss)
    means = [np.mean(own) for own in losses.values()]
    weights = [len(own) for own in losses.values()]
    return float(np.average(np.power(means, POWER), weights=weights))


def as_strangers(unseen: Level, difficulty: float) -> Level:
    """The level of strangers that are so much harder, in loss and, likewise, in CER."""
    return Level(loss=unseen.loss * difficulty, cer=min(1.0, unseen.cer * difficulty))


def level_interval(unseen: Sequence[Heard], difficulty: float) -> tuple[float, float] | None:
    """How well these strangers tell the loss of `as_strangers`: 95%, over speakers.

    None with fewer than two.
    """
    losses = [difficulty * one.loss for one in unseen]
    return ratio_interval(losses, [1.0] * len(losses), [one.utterance.speaker for one in unseen])


def representatives(retain: Sequence[Utterance]) -> list[Utterance]:
    """Up to 20 utterances of each of up to 50 speakers, evenly from the whole set."""
    names = sorted({u.speaker for u in retain})
    chosen = {names[i] for i in np.linspace(0, len(names) - 1, SPEAKERS).round().astype(int)}
    by_speaker: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in retain:
        if utterance.speaker in chosen:
            by_speaker[utterance.speaker].append(utterance)
    return [u for own in by_speaker.values() for u in islice(own, UTTERANCES)]

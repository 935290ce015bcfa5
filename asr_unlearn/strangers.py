"""How a model would treat the forget speakers, had it never met them: the level to forget down to.

Nobody who needs unlearning can measure it. How the model treats people it has really never met is
the nearest that can be measured, but some people are harder to recognise than others, whether they
were trained on or not: a forget list of such people is not forgotten yet at the loss of the average
stranger. How hard the forget speakers are is told by what the model makes of them after training,
roughly, or by an outsider, a recogniser that has met neither them nor the strangers.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

import numpy as np

from asr_unlearn.errors import InputError
from asr_unlearn.manifest import Utterance
from asr_unlearn.metrics.bootstrap import ratio_interval
from asr_unlearn.scoring import Heard, Level

# A stranger's loss grows like this power of what it would be after training (see `difficulty`):
# measured on AN4, on 24 pairs of models of which one had met a speaker and the other had not.
POWER = 0.4
# And like this power of what it is to a small recogniser that has met neither him nor the others:
# of 0 to 2.5, what tells the losses of seven of AN4's unseen speakers best from seven others'.
OUTSIDER_POWER = 1.5
# It falls like this power of the number of speakers that a recogniser has learned from: outsiders
# of 26 and of 53 of AN4's speakers, on two forget lists (1.27 and 0.69 on average).
TEACHERS_POWER = 0.86
# What is known of the difficulty of a few speakers should not decide alone.
BOUNDS = (0.5, 2.0)
# Enough of the retain set to know how hard its people are.
SPEAKERS, UTTERANCES = 50, 20


def difficulty(forget: Sequence[Heard], others: Sequence[Heard], power: float = POWER) -> float:
    """How much higher a stranger's loss would be, were strangers as hard as the forget speakers.

    The ratio of the groups' means of ℓ^power, ℓ the mean loss of an utterance's speaker. With the
    default power the losses are those of the model that was trained on both groups; they differ by
    far more than losses of strangers. With `OUTSIDER_POWER` they are an outsider's, and the others
    are the unseen speakers; it knows less, and its losses differ less. Between 0.5 and 2.

    Raises:
        ValueError: a group is empty.
    """
    if not forget or not others:
        raise InputError("difficulty is measured on forget speakers and others")
    hard, usual = (float(np.mean(hardness(group, power))) for group in (forget, others))
    return float(np.clip(hard / max(usual, 1e-12), *BOUNDS))


def hardness(heard: Sequence[Heard], power: float) -> list[float]:
    """Of each utterance: its speaker's mean loss, to that power."""
    losses: defaultdict[str, list[float]] = defaultdict(list)
    for one in heard:
        losses[one.utterance.speaker].append(one.loss)
    hard = {name: float(np.mean(own) ** power) for name, own in losses.items()}
    return [hard[one.utterance.speaker] for one in heard]


def fewer_teachers(forget: Sequence[Utterance], retain: Sequence[Utterance]) -> float:
    """How much higher strangers' losses are to a model that has learned from the retain set alone.

    It has heard fewer people than the original, whose losses are at hand. 1 without a retain set,
    when nobody knows how many it has heard.
    """
    kept = {u.speaker for u in retain}
    everybody = kept | {u.speaker for u in forget}
    return float((len(everybody) / len(kept)) ** TEACHERS_POWER) if kept else 1.0


def as_strangers(unseen: Level, difficulty: float) -> Level:
    """The level of strangers that are so much harder, in loss and, likewise, in CER."""
    return Level(loss=unseen.loss * difficulty, cer=min(1.0, unseen.cer * difficulty))


def level_interval(
    unseen: Sequence[Heard], difficulty: float, to_outsider: Sequence[Heard] = ()
) -> tuple[float, float] | None:
    """How well these strangers tell the loss of `as_strangers`: 95%, over speakers.

    What an outsider makes of the same utterances says which of them are hard, so that it matters
    less who the strangers happen to be. None with fewer than two speakers.
    """
    losses = [difficulty * one.loss for one in unseen]
    weights = [1.0] * len(losses)
    if to_outsider:
        hard = hardness(to_outsider, OUTSIDER_POWER)
        weights = [own / float(np.mean(hard)) for own in hard]
    return ratio_interval(losses, weights, [one.utterance.speaker for one in unseen])


def representatives(retain: Sequence[Utterance]) -> list[Utterance]:
    """Up to 20 utterances of each of up to 50 speakers, evenly from the whole set."""
    names = sorted({u.speaker for u in retain})
    chosen = {names[i] for i in np.linspace(0, len(names) - 1, SPEAKERS).round().astype(int)}
    by_speaker: defaultdict[str, list[Utterance]] = defaultdict(list)
    for utterance in retain:
        if utterance.speaker in chosen:
            by_speaker[utterance.speaker].append(utterance)
    return [u for own in by_speaker.values() for u in islice(own, UTTERANCES)]

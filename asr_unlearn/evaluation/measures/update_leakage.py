"""What the original and the unlearned model tell together: whose losses have risen?

Whoever has both models can compare them, and needs no attack that is made for one (Chen et al.,
arXiv 2005.02205). The retrained model tells as much beside the original: it is no fault of a
method, and a reason to delete the original.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from asr_unlearn.evaluation.attacks.observations import observations
from asr_unlearn.evaluation.measures.measure import Entry, Evaluated, Measure
from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.evaluation.results import ORIGINAL
from asr_unlearn.metrics.mia.roc import attack_by_scores
from asr_unlearn.models.saved_model import Key
from asr_unlearn.runtime.errors import InputError


class UpdateLeakageMeasure(Measure):
    """The figures of `leakage` for every model but the original."""

    name: ClassVar[str] = "update_leakage"
    needs_original: ClassVar[bool] = True

    def check(self, given: Evaluated) -> None:
        if not given.corpus.part("retain"):
            raise InputError(
                f"{self.name} compares forget with retain utterances; this split has no retain part"
            )

    def entries(self, given: Evaluated) -> Mapping[Key, Entry]:
        before = {seed: given.rows[model.key] for seed, model in given.originals().items()}
        return {
            model.key: leakage(self.name, before[model.seed], given.rows[model.key])
            for model in given.with_original()
            if model.name != ORIGINAL
        }


def leakage(name: str, before: Sequence[Row], after: Sequence[Row]) -> Entry:
    """Return how well the rise of an utterance's loss tells forget from retain utterances.

    Args:
        before, after: rows of the original and of the model.

    Returns:
        Under `name` "auc", and of all utterances of a speaker together "speaker_auc" and
        "speaker_p" (see `SpeakerAttack`); 0.5 is guessing. Intervals are under "ci95".
    """
    losses = {row["id"]: row["loss"] for row in before}
    forget, retain = (observations(after, part) for part in ("forget", "retain"))
    rises = (np.array([o.loss - losses[o.id] for o in group]) for group in (forget, retain))
    attack = attack_by_scores(forget, retain, *rises)
    found = {"auc": attack.auc}
    if attack.speakers is not None:
        found |= {"speaker_auc": attack.speakers.auc, "speaker_p": attack.speakers.p}
    interval = {} if attack.interval is None else {name: {"auc": list(attack.interval)}}
    return {name: found, "ci95": interval}

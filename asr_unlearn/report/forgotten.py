"""Who or what was to be forgotten, and whom it is told from: speakers or classes, strangers or not.

For a classifier a class has no strangers, nor has a speaker where speakers are the classes: their
training utterances are told from held-out ones of the same classes. For a recogniser they are told
from what strangers say, which has other labels where labels are forgotten.
"""

from dataclasses import dataclass

from asr_unlearn.evaluation.results import Results


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The request, as sentences need it.

    Attributes:
        one, many: what a forgotten one is called.
        names: of all of them.
        others: whom attackers tell them from.
        pair: what attackers are given.
        like_others: what a model does that has forgotten them.
        aimed_at: whether unlearning ends at the level of these same others.
        each: what relearning trains on: an utterance of each speaker.
    """

    one: str
    many: str
    names: tuple[str, ...]
    others: str
    pair: str
    like_others: str
    aimed_at: bool
    each: str

    @property
    def counted(self) -> str:
        number = len(self.names)
        return f"{number} {self.one if number == 1 else self.many}"


def forgotten(results: Results) -> Forgotten:
    """From the split; strangers are those that any model was asked about as unseen.

    Whom attackers are given is for asr_unlearn.evaluation.attacks.observations to say; here is what that is called.
    """
    split = results.record["split"]
    labels = tuple(split.get("forget_labels", ()))
    one, many = ("class", "classes") if labels else ("speaker", "speakers")
    known = any(model.figure("loss", "unseen") is not None for model in results.models)
    classified = results.record.get("task") == "classification"
    each = f"one utterance of each forgotten {one}"
    if labels:
        each = f"one utterance of the forgotten {many} by each speaker"
    held_out = classified and (bool(labels) or not known)
    if held_out:
        others = "held-out utterances"
        pair = f"one training utterance of a forgotten {one} and one that was held out"
        like_others = f"treats these {many}' training utterances like held-out ones"
    elif labels:
        others = "strangers' utterances of other classes"
        pair = f"one utterance of a forgotten {one} and one of another {one} by a stranger"
        like_others = f"treats these {many} like {others}"
    else:
        others = "strangers"
        pair = f"one utterance of a forgotten {one} and one of a stranger"
        like_others = f"treats these {many} like strangers"
    return Forgotten(
        one,
        many,
        labels or tuple(split["forget_speakers"]),
        others,
        pair,
        like_others,
        not held_out,
        each,
    )

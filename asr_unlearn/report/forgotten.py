"""Who or what was to be forgotten, and whom it is told from: speakers or classes, strangers or not.

A class has no strangers, nor has a speaker for a classifier of speakers: their training utterances
are told from held-out ones of the same classes.
"""

from dataclasses import dataclass

from asr_unlearn.report.results import Results


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The request, as sentences need it.

    Attributes:
        one, many: what a forgotten one is called.
        names: of all of them.
        others: whom attackers tell them from.
        pair: what attackers are given.
        like_others: what a model does that has forgotten them.
        each: what relearning trains on: an utterance of each speaker.
    """

    one: str
    many: str
    names: tuple[str, ...]
    others: str
    pair: str
    like_others: str
    each: str

    @property
    def counted(self) -> str:
        number = len(self.names)
        return f"{number} {self.one if number == 1 else self.many}"


def forgotten(results: Results) -> Forgotten:
    """From the split; strangers are those that any model was asked about as unseen."""
    split = results.record["split"]
    labels = tuple(split.get("forget_labels", ()))
    one, many = ("class", "classes") if labels else ("speaker", "speakers")
    names = labels or tuple(split["forget_speakers"])
    known = any(model.figure("loss", "unseen") is not None for model in results.models)
    classes = results.record.get("task") == "classification"
    each = (
        f"one utterance of the forgotten {many} by each speaker"
        if labels
        else f"one utterance of each forgotten {one}"
    )
    if labels or (classes and not known):
        return Forgotten(
            one,
            many,
            names,
            "held-out utterances",
            f"one training utterance of a forgotten {one} and one that was held out",
            f"treats these {many}' training utterances like held-out ones",
            each,
        )
    return Forgotten(
        one,
        many,
        names,
        "strangers",
        f"one utterance of a forgotten {one} and one of a stranger",
        f"treats these {many} like strangers",
        each,
    )

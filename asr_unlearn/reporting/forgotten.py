"""What was to be forgotten, and which utterances membership inference compares it with."""

from dataclasses import dataclass

from asr_unlearn.evaluation.results import Results


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The deletion request in the words of the report.

    Attributes:
        one, many: "speaker", "speakers" or "class", "classes".
        names: of all forgotten speakers or classes.
        others: the non-members of membership inference.
        matches_target: whether unlearning stops at the figures of these same non-members.
        each: what relearning trains on.
    """

    one: str
    many: str
    names: tuple[str, ...]
    others: str
    matches_target: bool
    each: str

    @property
    def counted(self) -> str:
        number = len(self.names)
        return f"{number} {self.one if number == 1 else self.many}"


def forgotten(results: Results) -> Forgotten:
    """Read the deletion request from the split.

    The non-members of a classifier are held-out utterances of the forgotten classes, also where
    speakers are the classes. Those of a recogniser are utterances of unseen speakers.
    `asr_unlearn.evaluation.attacks` draws them; here they get their name.
    """
    split = results.record["split"]
    labels = tuple(split.get("forget_labels", ()))
    one, many = ("class", "classes") if labels else ("speaker", "speakers")
    has_unseen = any(model.figure("loss", "unseen") is not None for model in results.models)
    classified = results.record.get("task") == "classification"
    held_out = classified and (bool(labels) or not has_unseen)
    if held_out:
        others = f"held-out utterances of the same {many}"
    elif labels:
        others = "unseen speakers' utterances of other classes"
    else:
        others = "utterances of unseen speakers"
    each = f"one utterance of each forgotten {one}"
    if labels:
        each = f"one utterance of the forgotten {many} by each speaker"
    names = labels or tuple(split["forget_speakers"])
    return Forgotten(one, many, names, others, not held_out, each)

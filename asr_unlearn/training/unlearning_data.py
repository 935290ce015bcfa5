"""Unlearning whole classes of a classifier, for instance a keyword or a speaker's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from asr_unlearn.data.labels import disjoint, label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Part
from asr_unlearn.models.tasks import Task


@dataclass(frozen=True)
class UnlearningData:
    """The utterances of an unlearning run.

    Attributes:
        given: the forget, retain and unseen utterances as the split has them.
        classes: whether whole classes are forgotten, so that no retain utterance has one of them,
            and not speakers.
    """

    given: Mapping[Part, Sequence[Utterance]]
    classes: bool

    @classmethod
    def of(cls, task: Task, given: Mapping[Part, Sequence[Utterance]]) -> Self:
        """Decide whether speakers or classes are forgotten."""
        forget, retain = ({label_of(u) for u in given[part]} for part in ("forget", "retain"))
        return cls(given, task.one_label and disjoint(forget, retain))

    @cached_property
    def parts(self) -> Mapping[Part, Sequence[Utterance]]:
        """The utterances to unlearn with: where classes are forgotten, "unseen" is relabelled."""
        if not self.classes:
            return self.given
        return {**self.given, "unseen": relabelled_unseen(self.given)}


def relabelled_unseen(given: Mapping[Part, Sequence[Utterance]]) -> list[Utterance]:
    """The unseen utterances with the forgotten classes, in turn, as their labels.

    The target for a forgotten class. A model recognises a class in every voice, so unseen speakers
    do not tell how a model without it would score it. Such a model takes its utterances for other
    classes, as the original takes other classes' utterances: the original's score on these, with
    the forgotten class as the reference, is the target.
    """
    forgotten = sorted({label_of(u) for u in given["forget"]})
    labelled = [(u, forgotten[i % len(forgotten)]) for i, u in enumerate(given["unseen"])]
    # With an id of their own: targets are cached by id.
    return [replace(u, id=f"{u.id} as {label}", label=label) for u, label in labelled]

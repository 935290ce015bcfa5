"""Classifiers: which utterances they have an answer for, and how a whole class is forgotten."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from asr_unlearn.data.labels import disjoint, label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Part
from asr_unlearn.models.tasks import Task


def forgets_classes(task: Task, given: Mapping[Part, Sequence[Utterance]]) -> bool:
    """Whether a classifier is to forget every utterance of some classes."""
    forget, retain = ({label_of(u) for u in given[part]} for part in ("forget", "retain"))
    return task.one_label and disjoint(forget, retain)


def relabelled_unseen(given: Mapping[Part, Sequence[Utterance]]) -> list[Utterance]:
    """The unseen utterances with the forgotten classes, in turn, as their labels.

    The level to forget a class down to. There are no strangers to a class: the model knows the
    word from any voice. A model that never learned it hears it as something else, as the original
    hears something else in every other word; so the original is asked how far other words are
    from being the forgotten one.
    """
    forgotten = sorted({label_of(u) for u in given["forget"]})
    asked = [(u, forgotten[i % len(forgotten)]) for i, u in enumerate(given["unseen"])]
    # Under another id: what an utterance's target is, is kept by its id.
    return [replace(u, id=f"{u.id} as {label}", label=label) for u, label in asked]

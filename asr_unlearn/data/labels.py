"""The class of an utterance, and the characters of transcripts."""

from collections.abc import Collection, Sequence

from asr_unlearn.data.manifest import Utterance


def disjoint(forget: Collection[str], retain: Collection[str]) -> bool:
    """Whether whole classes are forgotten, given the labels of both parts."""
    return bool(forget) and bool(retain) and not set(forget) & set(retain)


def alphabet_of(utterances: Sequence[Utterance]) -> list[str]:
    """The characters of all transcripts, sorted, without white space."""
    return sorted({c for u in utterances for c in u.text or "" if not c.isspace()})


def label_of(utterance: Utterance) -> str:
    """The class of an utterance: its label, or without one its speaker."""
    return utterance.speaker if utterance.label is None else utterance.label

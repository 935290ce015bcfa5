"""Check that the parts of a split are those of the request that it names."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from asr_unlearn.data.duplicates import FORGOTTEN
from asr_unlearn.data.forget_list import SplitError
from asr_unlearn.data.manifest import Utterance


def check_split_parts(
    path: Path,
    parts: Mapping[str, Sequence[str]],
    utterances: Sequence[Utterance],
    *,
    speakers: Collection[str],
    labels: Collection[str],
    unseen: Collection[str],
    forgotten: Collection[str] = (),
) -> None:
    """Check the utterances of each part.

    Args:
        path: of the split, for the message.
        parts: utterance ids by part.
        utterances: of the manifest.
        speakers, labels: to be forgotten; one of the two is empty.
        unseen: speakers of the part "unseen".
        forgotten: speakers of earlier requests.

    Raises:
        SplitError: an id is unknown, repeated or in two parts; an utterance to be forgotten is in
            no part that is forgotten, or another one is; a name to be forgotten has no utterance
            in "forget"; the part "unseen" has other speakers than those named; or an utterance of
            an earlier request is in another part than "forgotten", or another one is there.
    """
    known = {u.id: u for u in utterances}
    part_of: dict[str, str] = {}
    for where, ids in parts.items():
        for name in ids:
            if name not in known:
                raise _refused(path, f"{name} of {where} is not in its manifest")
            if name in part_of:
                raise _refused(path, f"{name} is in {part_of[name]} and again in {where}")
            part_of[name] = where
    wanted = set(labels or speakers)
    for utterance in utterances:
        part = part_of.get(utterance.id, "no part")
        own = utterance.label if labels else utterance.speaker
        if own in wanted and part not in FORGOTTEN:
            raise _refused(path, f"{utterance.id} of {own} is in {part}, not forgotten")
        if own not in wanted and part in FORGOTTEN:
            raise _refused(path, f"{utterance.id} of {own} is in {part}, but {own} is not named")
        if (part == "unseen") > (utterance.speaker in unseen):
            raise _refused(path, f"{utterance.id} is in unseen, but {utterance.speaker} is not")
        if part != "no part" and (part == "forgotten") != (utterance.speaker in forgotten):
            raise _refused(path, f"{utterance.id} of {utterance.speaker} is in {part}")
        if part == "retain" and utterance.speaker in unseen:
            raise _refused(path, f"{utterance.id} of the unseen {utterance.speaker} is in retain")
    asked = (known[name] for name in parts["forget"])
    if lacking := wanted - {(u.label if labels else u.speaker) for u in asked}:
        raise _refused(path, f"{min(lacking)} has no utterance in forget")


def _refused(path: Path, why: str) -> SplitError:
    return SplitError(f"{path}: {why}; split again")

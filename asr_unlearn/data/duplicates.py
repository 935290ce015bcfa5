"""The same recording under several ids, found by the digests in the manifest."""

from collections.abc import Iterable, Mapping, Sequence

from asr_unlearn.data.forget_list import SplitError
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.validation import Problem

FORGOTTEN = ("forget", "forget_heldout")


def find_copies(utterances: Iterable[Utterance]) -> list[Problem]:
    """Every utterance with the recording of an earlier one, and the id of that one.

    Copies stay in the manifest: only its owner can decide which of the two to remove.
    """
    first: dict[str, Utterance] = {}
    copies = []
    for utterance in utterances:
        if utterance.sha256 is None:
            continue
        original = first.setdefault(utterance.sha256, utterance)
        if original is not utterance:
            copies.append(Problem(utterance.id, "copy", f"same recording as {original.id}"))
    return copies


def check_copies(parts: Mapping[str, Sequence[Utterance]]) -> None:
    """Raises SplitError where a recording to forget is also in a part that is not forgotten.

    Copies within `forget` and `forget_heldout` are forgotten together, as in Speech Commands,
    where some speakers have the same clip twice.
    """
    forgotten = {u.sha256: u for part in FORGOTTEN for u in parts[part] if u.sha256 is not None}
    for part, utterances in parts.items():
        if part in FORGOTTEN:
            continue
        for utterance in utterances:
            if utterance.sha256 and (twin := forgotten.get(utterance.sha256)):
                raise SplitError(
                    f"utterance {twin.id} (speaker {twin.speaker}), which is to be forgotten, and "
                    f"{utterance.id} (speaker {utterance.speaker}), in {part}, are the same "
                    "recording; take one of them out of the manifest, or ask to forget both"
                )

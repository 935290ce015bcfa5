"""Notice recordings that were replaced since the manifest was made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.file_state import FileState
from asr_unlearn.runtime.io import absolute, write_json
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.runtime.threads import mapped


def check_recordings(utterances: Sequence[Utterance], known: Path | None = None) -> list[Utterance]:
    """Check that recordings have the digests in the manifest; measure those that are not in it.

    A recording is read once, and again when its size or time has changed. Those that are gone are
    not checked.

    Args:
        utterances: of the manifest.
        known: file for the states of the recordings that were read; without it all are read.

    Returns:
        The utterances, each with the digest of its recording.

    Raises:
        InputError: naming a recording that was replaced.
    """
    states = _read(known)
    there = [utterance for utterance in utterances if utterance.audio.is_file()]
    unknown = [utterance for utterance in there if not _is_known(utterance, states)]
    if unknown:
        found = mapped(FileState.of, (u.audio for u in unknown))
        shown = Bar(found, total=len(unknown), desc="checking recordings", unit="file", delay=2)
        states |= {_name(u): state for u, state in zip(unknown, shown, strict=True)}
        if known is not None:
            write_json(known, {name: asdict(state) for name, state in states.items()})
    digests = {utterance.id: states[_name(utterance)].sha256 for utterance in there}
    if replaced := [u for u in there if u.sha256 not in (None, digests[u.id])]:
        others = f" (and {len(replaced) - 1} others)" if len(replaced) > 1 else ""
        raise InputError(
            f"{replaced[0].audio}, the recording of utterance {replaced[0].id}{others}, was "
            "replaced since the manifest was made; put it back, or make manifest and split anew"
        )
    return [replace(u, sha256=digests.get(u.id, u.sha256)) for u in utterances]


def _is_known(utterance: Utterance, states: Mapping[str, FileState]) -> bool:
    """Whether a recording was read, is as it was then, and as the manifest has it."""
    state = states.get(_name(utterance))
    return (
        state is not None
        and utterance.sha256 in (None, state.sha256)
        and state.untouched(utterance.audio)
    )


def _name(utterance: Utterance) -> str:
    return str(absolute(utterance.audio))


def _read(known: Path | None) -> dict[str, FileState]:
    """The states in a file; none where it cannot be read: then the recordings are."""
    if known is None or not known.is_file():
        return {}
    try:
        stored = json.loads(known.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    if not isinstance(stored, dict):
        return {}
    read = ((name, FileState.read(state)) for name, state in stored.items())
    return {name: state for name, state in read if state is not None}

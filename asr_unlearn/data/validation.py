"""Check utterances before training, and name those that cannot be used with the reason."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.recordings import measure
from asr_unlearn.data.spelling import NAMES, respelled, spelling_of
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once
from asr_unlearn.runtime.text import is_utf8, printable


@dataclass(frozen=True)
class Problem:
    """An utterance that was left out and the reason, in printable text."""

    id: str
    reason: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", printable(self.id))
        object.__setattr__(self, "detail", printable(self.detail))


@dataclass(frozen=True)
class Validation:
    """Every checked utterance is either in `kept` or named once in `problems`."""

    kept: list[Utterance]
    problems: list[Problem]


def conv_frames(samples: int, kernels: Sequence[int], strides: Sequence[int]) -> int:
    """The number of frames of a CTC front end of unpadded convolutions."""
    for kernel, stride in zip(kernels, strides, strict=True):
        samples = max((samples - kernel) // stride + 1, 0)
    return samples


def validate(
    utterances: Iterable[Utterance | Problem],
    *,
    alphabet: Collection[str] | None = None,
    frames: Callable[[int], int] | None = None,
    min_seconds: float = 0.1,
    max_seconds: float = 35.0,
    workers: int | None = None,
    progress: bool = True,
) -> Validation:
    """Decode every file once, on all cores, and separate usable utterances from others.

    Kept utterances stay in order and have their seconds measured, and the digest of their
    recording, which shows later whether it was replaced. Utterances without a transcript (`text`
    None, a corpus for classification) skip the transcript checks.

    Args:
        utterances: to check, and problems that were found before.
        alphabet: characters that a transcript may contain besides spaces; where its letters have
            one case, transcripts are changed to that case.
        frames: maps samples at 16 kHz to CTC frames.
        min_seconds, max_seconds: limits of the length.
        workers: threads; by default one a core.
        progress: whether to show a progress bar.

    The reason of a problem is the first that applies of: "duplicate id" (the first of them stays),
    "name is not UTF-8" (no manifest could hold it), "no id", "no speaker", "empty transcript",
    "unknown characters", "missing audio", "undecodable audio", "too short", "too long",
    "transcript too long".

    Raises:
        InputError: impossible limits.
    """
    if not (0 <= min_seconds <= max_seconds and 0 < max_seconds < math.inf):
        raise InputError(f"recordings cannot last from {min_seconds} to {max_seconds} s")
    problems: list[Problem] = []
    readable: list[Utterance] = []
    first: dict[str, Utterance] = {}
    for utterance in utterances:
        if isinstance(utterance, Problem):
            problems.append(utterance)
            continue
        if utterance.id in first:
            detail = f"{utterance.audio} has the id of {first[utterance.id].audio}"
            problems.append(Problem(utterance.id, "duplicate id", detail))
            continue
        first[utterance.id] = utterance
        utterance = _fitted(utterance, alphabet)
        if problem := _name_problem(utterance) or _transcript_problem(utterance, alphabet):
            problems.append(problem)
        else:
            readable.append(utterance)

    kept: list[Utterance] = []
    # A little longer ones are decoded as a whole, so that the report has their length.
    longest = 2 * max_seconds
    measured = measure([u.audio for u in readable], workers, progress, longest)
    for utterance, found in zip(readable, measured, strict=True):
        samples = found.samples
        utterance = replace(utterance, seconds=samples / SAMPLE_RATE, sha256=found.sha256)
        problem = (
            Problem(utterance.id, found.reason, found.detail)
            if found.reason
            else _length_problem(utterance, samples, min_seconds, max_seconds, frames)
        )
        if problem:
            problems.append(problem)
        else:
            kept.append(utterance)
    return Validation(kept, problems)


def _name_problem(utterance: Utterance) -> Problem | None:
    names = {
        "path": str(utterance.audio),
        "id": utterance.id,
        "speaker": utterance.speaker,
        "label": utterance.label or "",
        "language": utterance.language or "",
        "transcript": utterance.text or "",
    }
    for kind, name in names.items():
        if not is_utf8(name):
            return Problem(utterance.id, "name is not UTF-8", f"{kind} {name}; rename it")
    if not utterance.id:
        return Problem(utterance.id, "no id", f"the id of {utterance.audio} has no characters")
    if not utterance.speaker:
        return Problem(utterance.id, "no speaker", f"the speaker of {utterance.audio} has no name")
    return None


def _fitted(utterance: Utterance, alphabet: Collection[str] | None) -> Utterance:
    """The utterance, with its transcript in the alphabet's case if that makes it fit."""
    if alphabet is None or utterance.text is None or not _unknown(utterance.text, alphabet):
        return utterance
    spelling = spelling_of(alphabet)
    text = respelled(utterance.text, spelling)
    if _unknown(text, alphabet):
        return utterance
    warn_once(f"transcripts are put {NAMES[spelling]}, as the alphabet is")
    return replace(utterance, text=text)


def _unknown(text: str, alphabet: Collection[str]) -> set[str]:
    return set(text) - {" ", *alphabet}


def _transcript_problem(utterance: Utterance, alphabet: Collection[str] | None) -> Problem | None:
    if utterance.text is None:
        return None
    if not utterance.text.strip():
        return Problem(utterance.id, "empty transcript", f"no words for {utterance.audio}")
    if alphabet is not None and (unknown := _unknown(utterance.text, alphabet)):
        named = " ".join(repr(character) for character in sorted(unknown))
        return Problem(utterance.id, "unknown characters", f"{named} in {utterance.text!r}")
    return None


def _length_problem(
    utterance: Utterance,
    samples: int,
    min_seconds: float,
    max_seconds: float,
    frames: Callable[[int], int] | None,
) -> Problem | None:
    seconds = f"{utterance.audio} lasts {utterance.seconds:.2f} s"
    if utterance.seconds < min_seconds:
        return Problem(utterance.id, "too short", f"{seconds}, the least is {min_seconds:g} s")
    if utterance.seconds > max_seconds:
        return Problem(utterance.id, "too long", f"{seconds}, the most is {max_seconds:g} s")
    if utterance.text is None or frames is None:
        return None
    # CTC puts a blank between equal neighbours, so they cost a frame more; with fewer frames the
    # loss is infinite and its gradient NaN.
    repeats = sum(a == b for a, b in pairwise(utterance.text))
    needed, available = len(utterance.text) + repeats, frames(samples)
    if needed > available:
        detail = f"{seconds}, {available} frames; its transcript needs {needed}"
        return Problem(utterance.id, "transcript too long", detail)
    return None

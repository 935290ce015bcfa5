"""A deletion request to the parts of the corpus, by speaker: seeded and disjoint."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from asr_unlearn.files import write_json
from asr_unlearn.manifest import Utterance
from asr_unlearn.run import digest

PARTS = ("forget", "forget_heldout", "retain", "unseen", "test")
SCHEMA = 1


class SplitError(ValueError):
    """A request that the corpus cannot answer; the message names the speaker or the part."""


@dataclass(frozen=True)
class Split:
    """Which utterances belong to which part.

    `forget`: training utterances of the forget speakers; `forget_heldout`: the share of theirs
    that is never trained on; `retain`: everyone else's; `unseen`: speakers never trained on, for
    the stop rule and membership inference; `test`: never looked at before the report.
    """

    seed: int
    forget_speakers: tuple[str, ...]
    unseen_speakers: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]

    def utterances(self, part: str, manifest: Iterable[Utterance]) -> list[Utterance]:
        """The utterances of a part, in the manifest's order."""
        ids = set(self.parts[part])
        return [u for u in manifest if u.id in ids]


def read_speakers(path: Path) -> list[str]:
    """Speaker ids, one a line; `#` begins a comment."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def draw_speakers(utterances: Sequence[Utterance], count: int, seed: int) -> list[str]:
    """A seeded forget list of `count` training speakers, for when nobody asked for any."""
    speakers = sorted({u.speaker for u in utterances if u.subset != "test"})
    if count >= len(speakers):
        raise SplitError(f"cannot forget {count} of {len(speakers)} training speakers")
    chosen = np.random.default_rng([seed, 1]).choice(len(speakers), size=count, replace=False)
    return sorted(speakers[i] for i in chosen)


def make_split(
    utterances: Sequence[Utterance],
    forget: Sequence[str],
    *,
    seed: int = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> Split:
    """Divide the corpus for a request to forget the speakers `forget`.

    Args:
        heldout: share of each forget speaker's utterances that is kept from training.
        unseen: share of the other training speakers that is kept from training.
        test: the same for the test part; not used when the corpus has a test set of its own
            (utterances with the subset "test").

    Raises:
        SplitError: an unknown or repeated speaker, one that has no training utterances, or so
            few speakers that a part would be empty.
    """
    train = [u for u in utterances if u.subset != "test"]
    own_test = [u for u in utterances if u.subset == "test"]
    _check_request(forget, {u.speaker for u in train}, {u.speaker for u in own_test})
    leaked = {u.speaker for u in train} & {u.speaker for u in own_test}
    if leaked:
        raise SplitError(
            f"speakers in both the training and the test set: {', '.join(sorted(leaked)[:5])}"
        )

    rng = np.random.default_rng([seed, 0])
    others = sorted({u.speaker for u in train} - set(forget))
    shares = [unseen, 0.0 if own_test else test]
    unseen_speakers, test_speakers = _set_aside(others, shares, rng)
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    parts["test"] = [u.id for u in own_test]
    for utterance in train:
        if utterance.speaker in unseen_speakers:
            parts["unseen"].append(utterance.id)
        elif utterance.speaker in test_speakers:
            parts["test"].append(utterance.id)
        elif utterance.speaker not in forget:
            parts["retain"].append(utterance.id)
    for speaker in sorted(forget):
        theirs = [u.id for u in train if u.speaker == speaker]
        away = _hold_out(theirs, heldout, rng)
        parts["forget_heldout"] += [name for name in theirs if name in away]
        parts["forget"] += [name for name in theirs if name not in away]
    return Split(
        seed=seed,
        forget_speakers=tuple(sorted(forget)),
        unseen_speakers=tuple(sorted(unseen_speakers)),
        parts={part: tuple(ids) for part, ids in parts.items()},
    )


def _set_aside(
    speakers: Sequence[str], shares: Sequence[float], rng: np.random.Generator
) -> list[set[str]]:
    """A group of speakers for each share, none of them empty but for a share of 0."""
    counts = [math.ceil(share * len(speakers)) for share in shares]
    if len(speakers) <= sum(counts) or counts[0] == 0:
        raise SplitError(
            f"{len(speakers)} speakers besides those to forget are too few for the parts retain, "
            f"unseen ({shares[0]:.0%}) and test"
        )
    shuffled = [speakers[i] for i in rng.permutation(len(speakers))]
    ends = np.cumsum([0, *counts])
    return [set(shuffled[a:b]) for a, b in pairwise(ends)]


def _hold_out(ids: Sequence[str], share: float, rng: np.random.Generator) -> set[str]:
    """At least one of a speaker's utterances, and never all: something must be forgotten."""
    if not share:
        return set()
    count = min(max(1, round(share * len(ids))), len(ids) - 1)
    return {ids[i] for i in rng.choice(len(ids), size=count, replace=False)}


def _check_request(forget: Sequence[str], known: set[str], in_test: set[str]) -> None:
    if not forget:
        raise SplitError("the forget list names no speaker")
    repeated = sorted({s for s in forget if list(forget).count(s) > 1})
    if repeated:
        raise SplitError(f"the forget list names {', '.join(repeated)} more than once")
    for speaker in forget:
        if speaker in in_test and speaker not in known:
            raise SplitError(
                f"speaker {speaker} occurs only in the test set: nothing was learned from them"
            )
        if speaker not in known:
            near = difflib.get_close_matches(speaker, sorted(known), n=5, cutoff=0.0)
            raise SplitError(f"unknown speaker {speaker!r} in the forget list; nearest: {near}")


def write_split(path: Path, split: Split, manifest: Path) -> None:
    """Publish the split, with the hash of the manifest that it divides."""
    write_json(
        path,
        {
            "schema": SCHEMA,
            "seed": split.seed,
            "manifest_sha256": digest(manifest),
            "forget_speakers": list(split.forget_speakers),
            "unseen_speakers": list(split.unseen_speakers),
            "parts": {part: list(ids) for part, ids in split.parts.items()},
        },
    )


def read_split(path: Path, manifest: Path) -> Split:
    """The split at `path`.

    Raises:
        SplitError: another schema, or made for another manifest.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("schema") != SCHEMA:
        raise SplitError(f"{path} has schema {content.get('schema')}, not {SCHEMA}; split again")
    if content["manifest_sha256"] != digest(manifest):
        raise SplitError(f"{path} was made for another {manifest.name}; split again")
    return Split(
        seed=content["seed"],
        forget_speakers=tuple(content["forget_speakers"]),
        unseen_speakers=tuple(content["unseen_speakers"]),
        parts={part: tuple(ids) for part, ids in content["parts"].items()},
    )

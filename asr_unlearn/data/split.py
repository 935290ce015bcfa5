"""Split the corpus into disjoint parts for a deletion request, by speaker or by label."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from asr_unlearn.data.draws import draw_parts, generator, hold_out, ids_by
from asr_unlearn.data.duplicates import check_copies
from asr_unlearn.data.forget_list import SplitError, check_request
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.split_check import check_parts
from asr_unlearn.runtime.documents import parse_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest, digest_of, read_text, write_json
from asr_unlearn.runtime.text import normal_name

PARTS = ("forget", "forget_heldout", "retain", "unseen", "test")
# The corpus' own sets that are never trained on, and the parts they become.
HELD_OUT_SETS = {"dev": "unseen", "test": "test"}
# Of a split file: its lists of names.
NAMED = ("forget_speakers", "unseen_speakers", "forget_labels")
SCHEMA = 1
SPLIT_KEYS = ("parts", "manifest_sha256", "forget_speakers")


@dataclass(frozen=True)
class Split:
    """The utterances of each part.

    `forget`: training utterances of the forget speakers; `forget_heldout`: their utterances that
    are never trained on; `retain`: training utterances of all other speakers; `unseen`: speakers
    never trained on, for the stop rule and membership inference; `test`: used in the evaluation
    only, of speakers never trained on and, if the corpus divides so, of those of `retain`.

    Where labels are forgotten, `forget` and `forget_heldout` are the utterances with these labels,
    `forget_heldout` those of speakers never trained on as well. The other parts have none.
    """

    seed: int
    forget_speakers: tuple[str, ...]
    unseen_speakers: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    forget_labels: tuple[str, ...] = ()
    salt: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the request, the parts and the salt, which keeps names from being guessed."""
        content = asdict(self)
        # Splits of earlier versions have none.
        if not self.salt:
            del content["salt"]
        return digest_of(content)

    def utterances(self, part: str, manifest: Iterable[Utterance]) -> list[Utterance]:
        """The utterances of a part, in the manifest's order; raises SplitError without it."""
        self.check_part(part)
        ids = set(self.parts[part])
        return [u for u in manifest if u.id in ids]

    def check_part(self, part: str) -> None:
        """Raises SplitError for an unknown part."""
        if part not in self.parts:
            raise SplitError(f"no part is called {part!r}; there are {', '.join(self.parts)}")

    def by_part(self, manifest: Iterable[Utterance]) -> dict[str, list[Utterance]]:
        """The utterances of every part, in the manifest's order."""
        members = {part: set(ids) for part, ids in self.parts.items()}
        found: dict[str, list[Utterance]] = {part: [] for part in members}
        for utterance in manifest:
            for part, ids in members.items():
                if utterance.id in ids:
                    found[part].append(utterance)
        return found


def draw_speakers(utterances: Sequence[Utterance], count: int, seed: int) -> list[str]:
    """Draw a forget list of `count` training speakers.

    Names that begin with "_" are no speakers, for instance the noise of Speech Commands.
    """
    speakers = sorted({u.speaker for u in utterances if u.subset not in HELD_OUT_SETS})
    speakers = [name for name in speakers if not name.startswith("_")]
    if count >= len(speakers):
        raise SplitError(f"cannot forget {count} of {len(speakers)} training speakers")
    chosen = generator(seed, 1).choice(len(speakers), size=count, replace=False)
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

    The corpus' own test set may have other speakers than its training set, or other utterances of
    the same speakers, as in speaker identification. Then the test utterances of the forget speakers
    are their held-out part.

    Args:
        heldout: share of each forget speaker's utterances that is kept from training.
        unseen: share of the other training speakers that is kept from training; not used when
            the corpus has a development set of its own (utterances with the subset "dev").
        test: the same for the test part, and the subset "test".

    Raises:
        SplitError: an unknown or repeated speaker, one that has no training utterances, or so
            few speakers that a part would be empty; a recording to forget that is in another
            part under another id; or an impossible share or seed.
    """
    check_shares(heldout=heldout, unseen=unseen, test=test)
    rng = generator(seed, 0)
    train = [u for u in utterances if u.subset not in HELD_OUT_SETS]
    set_aside = {u.speaker for u in utterances if u.subset in HELD_OUT_SETS}
    check_request("speaker", forget, {u.speaker for u in train}, set_aside)
    wanted = set(forget)
    spared = _tests_of_the_same_people(utterances)
    others = [u for u in utterances if u.id not in spared]
    away = _held_out_speakers(others, wanted, unseen, 0.0 if spared else test, rng)
    tested = {u.speaker for u in utterances if u.id in spared}
    by_speaker = ids_by((u.speaker, u.id) for u in train if u.speaker in wanted)
    shares = [(ids, 0.0 if s in tested else heldout) for s, ids in by_speaker.items()]
    parts = {
        **hold_out(shares, rng),
        "retain": [u.id for u in train if u.speaker not in wanted and u.speaker not in away],
        "unseen": [u.id for u in utterances if away.get(u.speaker) == "unseen"],
        "test": [u.id for u in utterances if away.get(u.speaker) == "test"],
    }
    for utterance in utterances:
        if utterance.id in spared and utterance.speaker not in away:
            part = "forget_heldout" if utterance.speaker in wanted else "test"
            parts[part].append(utterance.id)
    split = Split(
        seed=seed,
        forget_speakers=tuple(sorted(forget)),
        unseen_speakers=_unseen(away),
        parts={part: tuple(parts[part]) for part in PARTS},
    )
    check_copies(split.by_part(utterances))
    return split


def check_shares(**shares: float) -> None:
    """Raises SplitError, naming the part, for a share that is impossible."""
    for part, share in shares.items():
        if not 0 <= share < 1:
            raise SplitError(f"the share of {part} must be from 0 to below 1, not {share}")


def _tests_of_the_same_people(utterances: Sequence[Utterance]) -> set[str]:
    """Utterances of the corpus' own test set whose speakers are in the training set too."""
    train = {u.speaker for u in utterances if u.subset not in HELD_OUT_SETS}
    return {u.id for u in utterances if u.subset == "test" and u.speaker in train}


def make_label_split(
    utterances: Sequence[Utterance],
    forget: Sequence[str],
    *,
    seed: int = 0,
    heldout: float = 0.1,
    unseen: float = 0.1,
    test: float = 0.1,
) -> Split:
    """Divide the corpus for a request to forget the labels `forget`, such as a keyword.

    `heldout` is the share of the training utterances with each label that is kept from training;
    the speakers of `unseen` and `test` are chosen as in `make_split`.

    Raises:
        SplitError: an unknown or repeated label, one or all without training utterances, or too
            few speakers; a recording to forget that is in another part under another id; or an
            impossible share or seed.
    """
    check_shares(heldout=heldout, unseen=unseen, test=test)
    rng = generator(seed, 0)
    away = _held_out_speakers(utterances, set(), unseen, test, rng)
    train = [u for u in utterances if u.speaker not in away]
    set_aside = {u.label for u in utterances if u.label and u.speaker in away}
    check_request("label", forget, {u.label for u in train if u.label}, set_aside)
    wanted = set(forget)
    by_label = ids_by((u.label, u.id) for u in train if u.label and u.label in wanted)
    others = [u for u in utterances if u.label not in wanted]
    parts = {
        **hold_out([(ids, heldout) for ids in by_label.values()], rng),
        "retain": [u.id for u in others if u.speaker not in away],
        "unseen": [u.id for u in others if away.get(u.speaker) == "unseen"],
        "test": [u.id for u in others if away.get(u.speaker) == "test"],
    }
    if not parts["retain"]:
        raise SplitError(f"no training utterance has another label than {', '.join(forget)}")
    parts["forget_heldout"] += [u.id for u in utterances if u.label in wanted and u.speaker in away]
    split = Split(
        seed=seed,
        forget_speakers=(),
        unseen_speakers=_unseen(away),
        parts={part: tuple(parts[part]) for part in PARTS},
        forget_labels=tuple(sorted(forget)),
    )
    check_copies(split.by_part(utterances))
    return split


def _held_out_speakers(
    utterances: Sequence[Utterance],
    trained: Collection[str],
    unseen: float,
    test: float,
    rng: np.random.Generator,
) -> dict[str, str]:
    """The part of every speaker who is never trained on: the corpus' own sets, else a draw.

    Speakers in `trained` are not drawn.
    """
    own = {u.speaker: HELD_OUT_SETS[u.subset] for u in utterances if u.subset in HELD_OUT_SETS}
    train = {u.speaker for u in utterances if u.subset not in HELD_OUT_SETS}
    mixed = {
        u.speaker for u in utterances if HELD_OUT_SETS.get(u.subset or "") != own.get(u.speaker)
    }
    if mixed:
        raise SplitError(
            "speakers in more than one of the training, development and test sets: "
            f"{', '.join(sorted(mixed)[:5])}. Unseen and test speakers must be speakers that the "
            "model is never trained on: give all utterances of a speaker one subset in the "
            'manifest, or none, and the parts "unseen" and "test" are drawn'
        )
    wanted = {"unseen": unseen, "test": test}
    shares = {part: share for part, share in wanted.items() if part not in own.values()}
    return own | draw_parts(sorted(train - set(trained)), shares, rng)


def _unseen(away: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(speaker for speaker, part in away.items() if part == "unseen"))


def write_split(path: Path, split: Split, manifest: Path) -> Split:
    """Write the split atomically, with the digest of its manifest.

    Returns:
        The split with its salt: its own, that of an equal split that stands at `path` already, or a
        new random one.
    """
    split = replace(split, salt=split.salt or _standing_salt(path, split) or secrets.token_hex(16))
    write_json(
        path,
        {
            "schema": SCHEMA,
            "seed": split.seed,
            "manifest_sha256": digest(manifest),
            "forget_speakers": list(split.forget_speakers),
            "forget_labels": list(split.forget_labels),
            "unseen_speakers": list(split.unseen_speakers),
            "parts": {part: list(ids) for part, ids in split.parts.items()},
            "salt": split.salt,
        },
    )
    return split


def _standing_salt(path: Path, split: Split) -> str:
    """The salt of an equal split at `path`: drawn again, the request stays the same."""
    try:
        standing = read_unchecked_split(path)
    except (OSError, ValueError):
        return ""
    return standing.salt if standing == split else ""


def read_content(path: Path) -> dict[str, Any]:
    """The content of a split file without a check of its manifest; raises SplitError for others."""
    text = read_text(path)
    try:
        content = parse_json(text)
    except InputError as error:
        raise SplitError(
            f"{path} is no split, such as `asr-unlearn split` writes ({error})"
        ) from error
    kinds = {"parts": dict, "manifest_sha256": str, "forget_speakers": list}
    if not isinstance(content, dict) or any(
        not isinstance(content.get(key), kind) for key, kind in kinds.items()
    ):
        raise SplitError(f"{path} is no split, such as `asr-unlearn split` writes")
    return content


def read_split(path: Path, manifest: Path, utterances: Sequence[Utterance] | None = None) -> Split:
    """The split at `path`, whose parts are those of the speakers or labels that it names.

    Args:
        utterances: of the manifest, where they have been read.

    Raises:
        SplitError: no whole split, another schema, made for another manifest, or an utterance is
            in a part where it does not belong.
    """
    split = read_unchecked_split(path)
    if read_content(path)["manifest_sha256"] != digest(manifest):
        raise SplitError(f"{path} was made for another {manifest.name}; split again")
    check_parts(
        path,
        split.parts,
        read_manifest(manifest) if utterances is None else utterances,
        speakers=split.forget_speakers,
        labels=split.forget_labels,
        unseen=split.unseen_speakers,
    )
    return split


def read_unchecked_split(path: Path) -> Split:
    """The split at `path` without a check against its manifest, which may be gone.

    Raises:
        SplitError: no whole split, or another schema.
    """
    content = read_content(path)
    if content.get("schema") != SCHEMA:
        raise SplitError(f"{path} has schema {content.get('schema')}, not {SCHEMA}; split again")
    lacking = {"seed", "unseen_speakers"} - content.keys() | set(PARTS) - content["parts"].keys()
    if lacking:
        raise SplitError(f"{path} lacks {', '.join(sorted(lacking))}; split again")
    lists = {key: content.get(key, []) for key in NAMED} | content["parts"]
    for key, names in lists.items():
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise SplitError(f"{path}: {key} is no list of names; split again")
    if not isinstance(content["seed"], int) or isinstance(content["seed"], bool):
        raise SplitError(f"{path}: seed is no whole number: {content['seed']!r}; split again")
    return Split(
        seed=content["seed"],
        forget_speakers=_names(content["forget_speakers"]),
        unseen_speakers=_names(content["unseen_speakers"]),
        parts={part: _names(ids) for part, ids in content["parts"].items()},
        # Not in splits of earlier versions.
        forget_labels=_names(content.get("forget_labels", ())),
        salt=str(content.get("salt", "")),
    )


def _names(written: Iterable[str]) -> tuple[str, ...]:
    """Names in their normal form, which earlier versions did not write."""
    return tuple(map(normal_name, written))


Part = Literal["forget", "retain", "unseen", "train"]
"""What batches are drawn from: a part of the split, or "train", all that a model is trained on."""

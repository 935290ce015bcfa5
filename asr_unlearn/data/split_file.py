"""Split files: written with the digest of their manifest, and checked when they are read."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from asr_unlearn.data.forget_list import SplitError
from asr_unlearn.data.manifest import Utterance, read_manifest
from asr_unlearn.data.split import OF_EVERY_SPLIT, PARTS, Split
from asr_unlearn.data.split_check import check_split_parts
from asr_unlearn.runtime.documents import parse_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest, read_text, write_json
from asr_unlearn.runtime.text import normal_name

# The lists of names in a split file.
NAMED = ("forget_speakers", "unseen_speakers", "forget_labels", "forgotten_speakers")
SCHEMA = 1
# What distinguishes a split from other files.
SPLIT_KEYS = ("parts", "manifest_sha256", "forget_speakers")


def write_split(path: Path, split: Split, manifest: Path) -> Split:
    """Write the split atomically, with the digest of its manifest.

    Returns:
        The split with its salt: its own, that of an equal split that stands at `path` already, or a
        new random one.
    """
    split = replace(split, salt=split.salt or _standing_salt(path, split) or secrets.token_hex(16))
    later = bool(split.forgotten_speakers)
    write_json(
        path,
        {
            "schema": SCHEMA,
            "seed": split.seed,
            "manifest_sha256": digest(manifest),
            "forget_speakers": list(split.forget_speakers),
            "forget_labels": list(split.forget_labels),
            "unseen_speakers": list(split.unseen_speakers),
            **({"forgotten_speakers": list(split.forgotten_speakers)} if later else {}),
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
    content = read_content(path)
    split = _split_of(path, content)
    if content["manifest_sha256"] != digest(manifest):
        raise SplitError(f"{path} was made for another {manifest.name}; split again")
    check_split_parts(
        path,
        split.parts,
        read_manifest(manifest) if utterances is None else utterances,
        speakers=split.forget_speakers,
        labels=split.forget_labels,
        unseen=split.unseen_speakers,
        forgotten=split.forgotten_speakers,
    )
    return split


def read_unchecked_split(path: Path) -> Split:
    """The split at `path` without a check against its manifest, which may be gone.

    Raises:
        SplitError: no whole split, or another schema.
    """
    return _split_of(path, read_content(path))


def _split_of(path: Path, content: Mapping[str, Any]) -> Split:
    """The split that a file holds; raises SplitError as `read_unchecked_split` does."""
    if content.get("schema") != SCHEMA:
        raise SplitError(f"{path} has schema {content.get('schema')}, not {SCHEMA}; split again")
    lacking = {"seed", "unseen_speakers"} - content.keys()
    lacking |= set(OF_EVERY_SPLIT) - content["parts"].keys()
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
        parts={part: _names(ids) for part, ids in content["parts"].items() if part in PARTS},
        # Not in splits of earlier versions.
        forget_labels=_names(content.get("forget_labels", ())),
        forgotten_speakers=_names(content.get("forgotten_speakers", ())),
        salt=str(content.get("salt", "")),
    )


def _names(written: Iterable[str]) -> tuple[str, ...]:
    """Names in their normal form, which earlier versions did not write."""
    return tuple(map(normal_name, written))

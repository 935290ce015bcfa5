"""The corpus of a run: a manifest of utterances and its split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance, content, read_manifest
from asr_unlearn.data.split import PARTS, Split
from asr_unlearn.data.split_file import read_split
from asr_unlearn.runtime.errors import InputError


def check_measured(utterances: Sequence[Utterance], manifest: Path, then: str) -> None:
    """Raise InputError for an utterance without measured seconds.

    Args:
        manifest: that they were read from.
        then: what to do once they are measured, for the message.
    """
    if unmeasured := [u.id for u in utterances if not u.seconds]:
        raise InputError(
            f"{manifest}: utterance {unmeasured[0]} has 0 seconds; run python -m data_prep.check "
            f"first ({manifest} --out checked.jsonl), and {then}"
        )


@dataclass(frozen=True)
class Corpus:
    """The manifest, its split, and a folder to cache features in.

    The cache is not beside the manifest, whose folder may be read-only; without it nothing is
    cached on disk.
    """

    manifest: list[Utterance]
    split: Split
    cache: Path | None = None

    @classmethod
    def read(cls, manifest: Path, split: Path, cache: Path | None = None) -> "Corpus":
        """Read both files; raises InputError for an utterance without measured seconds."""
        utterances = read_manifest(manifest)
        check_measured(utterances, manifest, "split what it writes")
        return cls(utterances, read_split(split, manifest, utterances), cache)

    @property
    def features(self) -> Path | None:
        """The folder for cached features."""
        return self.cache and self.cache / "features"

    @property
    def recordings(self) -> Path | None:
        """The file for the states of the recordings that were read."""
        return self.cache and self.cache / "recordings.json"

    @cached_property
    def _by_part(self) -> dict[str, list[Utterance]]:
        return self.split.by_part(self.manifest)

    def part(self, *names: str) -> list[Utterance]:
        """The utterances of these parts together."""
        for name in names:
            self.split.check_part(name)
        return [u for name in names for u in self._by_part.get(name, ())]

    def content(self) -> dict[str, list[list[Any]]]:
        """Every part's utterances in a form to take a digest of."""
        return {name: content(self.part(name)) for name in PARTS if name in self.split.parts}

"""Jobs of an evaluation that are done once: each result is kept until its inputs change."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.data.manifest import content
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.cache import Cached, cached


class CachedJob(ABC):
    """Work whose result, a file or a folder at `path`, is made again if its inputs change."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file or folder that the job makes."""

    @abstractmethod
    def made_from(self) -> Any:
        """Return everything that the result depends on, as JSON can write it."""

    @abstractmethod
    def make(self) -> None:
        """Make the result at `path`, where nothing is left of an earlier one."""

    @property
    def entry(self) -> Cached:
        return cached(self.path, self.made_from())

    def is_done(self) -> bool:
        return self.entry.is_current

    def __call__(self) -> None:
        """Make the result unless it is current."""
        entry = self.entry
        if not entry.is_current:
            entry.clear()
            self.make()
            entry.save()


@dataclass(frozen=True)
class ModelJob(CachedJob):
    """A job on one evaluated model, whose result is the JSON file `file` among its predictions."""

    file: ClassVar[str]

    model: SavedModel
    corpus: Corpus
    device: torch.device

    @property
    def path(self) -> Path:
        return self.model.predictions / self.file

    def result(self) -> Any:
        """Return the content of the file, once it is made."""
        return json.loads(self.path.read_text(encoding="utf-8"))


class PartsJob(ModelJob):
    """A job whose result has for each part a list with an entry for each utterance."""

    def contents(self, parts: Sequence[str]) -> dict[str, list[Any]]:
        """Return what the result depends on of the utterances of each part."""
        return {part: content(self.corpus.part(part)) for part in parts}

    @abstractmethod
    def of_part(self, entries: Sequence[Any]) -> dict[str, float]:
        """Return the figures of the utterances of one part, by name."""

    def figures(self) -> dict[str, float]:
        """Return "PART_utterances" and each figure as "PART_NAME"; a part without any has none."""
        found: dict[str, float] = {}
        for part, entries in self.result().items():
            if entries:
                found[f"{part}_utterances"] = len(entries)
                found |= {f"{part}_{name}": value for name, value in self.of_part(entries).items()}
        return found

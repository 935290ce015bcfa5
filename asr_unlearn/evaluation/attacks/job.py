"""What all trainings of an attack have in common: each is done once, and its result is cached."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.predictions import Row, transcribe
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime.cache import Cached, cached


class AttackJob(ABC):
    """A training whose result, a file or a folder at `path`, is made again if its inputs change."""

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
class ModelJob(AttackJob):
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


@dataclass(frozen=True, kw_only=True)
class AttackModel(AttackJob):
    """A model that an attack trains in the folder `out`, with its own split of the corpus.

    Attributes:
        window: seconds of a Whisper encoder's window in the evaluation.
    """

    corpus: Corpus
    out: Path
    device: torch.device
    beams: int = 1
    window: float | None = None

    @property
    def path(self) -> Path:
        return self.out

    @property
    @abstractmethod
    def description(self) -> str:
        """What progress bars call the model."""

    def __call__(self) -> None:
        """Train the model and transcribe with it, unless both are current."""
        super().__call__()
        self.rows()

    def rows(self) -> list[Row]:
        """Return the model's rows of the parts "forget" and "unseen" of its own split."""
        return transcribe(
            SavedModel(self.description, 0, self.out, window=self.window),
            self.corpus.manifest,
            self.corpus.split,
            device=self.device,
            beams=self.beams,
            parts=("forget", "unseen"),
        )

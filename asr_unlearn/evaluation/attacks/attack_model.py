"""A model that an attack trains for itself."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch

from asr_unlearn.data.corpus import Corpus
from asr_unlearn.evaluation.cached_job import CachedJob
from asr_unlearn.evaluation.predictions import Row, transcribe
from asr_unlearn.models.saved_model import SavedModel


@dataclass(frozen=True, kw_only=True)
class AttackModel(CachedJob):
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

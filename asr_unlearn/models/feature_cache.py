"""Model inputs of utterances, each made once.

Inputs are kept in memory up to a budget; features of a frozen front end are also kept on disk,
under a name that says which front end made them, and of which recording.
"""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.audio import load_audio
from asr_unlearn.data.batching import Example
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write

GIB = 1024**3
NO_TARGET = torch.empty(0, dtype=torch.long)


class Inputs:
    """Utterance -> Example for a task: decode once, encode once.

    Without `targets` the examples have none: for what needs no right answer.

    Raises:
        ValueError: naming an utterance too short for the model, or without the target asked for.
    """

    def __init__(
        self,
        task: Task,
        *,
        load: Callable[[Utterance], Float[np.ndarray, " samples"]] | None = None,
        feature_cache: Path | None = None,
        memory_gib: float = 4.0,
        targets: bool = True,
    ) -> None:
        self.task = task
        self._targets = targets
        self.load = load or (lambda utterance: load_audio(utterance.audio))
        self._memory: dict[str, Example] = {}
        self._bytes_left = int(memory_gib * GIB)
        self._folder: Path | None = None
        if feature_cache is not None and (key := task.cache_key()) is not None:
            self._folder = feature_cache / key

    def __call__(self, utterance: Utterance) -> Example:
        example = self._memory.get(utterance.id)
        if example is None:
            example = self._example(utterance)
            size = example.input.nbytes
            if size <= self._bytes_left:
                self._memory[utterance.id] = example
                self._bytes_left -= size
        return example

    def _example(self, utterance: Utterance) -> Example:
        target = self.task.target(utterance) if self._targets else NO_TARGET
        if self._folder is None:
            audio = self._heard(utterance)
            return Example(utterance.id, self.task.encode(audio), len(audio), target)
        # The id alone may hold a slash; its digest is a safe file name that spreads over folders.
        name = f"{utterance.id}\0{utterance.audio}\0{_state(utterance.audio)}"
        key = hashlib.sha256(name.encode()).hexdigest()
        path = self._folder / key[:2] / f"{key[2:34]}.npz"
        if (kept := _read(path)) is None:
            audio = self._heard(utterance)
            kept = self.task.encode(audio), len(audio)
            with atomic_write(path, durable=False) as aside, aside.open("wb") as file:
                np.savez(file, features=kept[0].numpy(), samples=np.int64(kept[1]))
        features, samples = kept
        return Example(utterance.id, features, samples, target)

    def _heard(self, utterance: Utterance) -> Float[np.ndarray, " samples"]:
        """Its wave, which must be enough for the model to make something of it."""
        audio = self.load(utterance)
        front_end = self.task.front_end
        frames = int(front_end.frames(torch.tensor([len(audio)])))
        if not len(audio) or frames < front_end.fewest_frames:
            raise InputError(
                f"utterance {utterance.id}: {len(audio)} samples are too few for the model "
                f"({utterance.audio}); leave it out"
            )
        return audio


def _read(path: Path) -> tuple[Float[Tensor, "..."], int] | None:
    """Features and number of samples as they were kept; None where they were not, or not whole.

    A crash of the system may cut a file short, and what it held is made again.
    """
    try:
        with np.load(path) as stored:
            return torch.from_numpy(stored["features"]), int(stored["samples"])
    except (FileNotFoundError, EOFError, ValueError, BadZipFile, zlib.error):
        return None


def _state(recording: Path) -> tuple[int, int] | None:
    """Size and time of a file, which tell that it was replaced; None for what is no file."""
    if not recording.is_file():
        return None
    status = recording.stat()
    return status.st_size, status.st_mtime_ns

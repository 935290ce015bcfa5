"""Model inputs of utterances, cached in memory up to a budget.

Features of a frozen front end are also cached on disk, by front end and recording.
"""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

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
# Bytes of a SHA-256.
DIGEST = 32
NO_TARGET = torch.empty(0, dtype=torch.long)


class Inputs:
    """Makes the `Example` of an utterance for a task, once.

    Args:
        task: encodes the wave and makes the target.
        load: reads the wave of an utterance; by default from its file.
        feature_cache: folder for features of a frozen front end.
        memory_gib: most memory for examples.
        targets: whether the examples have targets.

    Raises:
        InputError: naming an utterance too short for the model, or without a target.
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
        # A front end that is frozen between two calls makes other inputs.
        self._memory: dict[tuple[str, bool], Example] = {}
        self._bytes_left = int(memory_gib * GIB)
        self._frozen = task.front_end_is_frozen
        self._folder: Path | None = None
        if feature_cache is not None and (key := task.cache_key()) is not None:
            self._folder = feature_cache / key

    def __call__(self, utterance: Utterance) -> Example:
        key = utterance.id, self.task.front_end_is_frozen
        example = self._memory.get(key)
        if example is None:
            example = self._example(utterance)
            size = example.input.nbytes
            if size <= self._bytes_left:
                self._memory[key] = example
                self._bytes_left -= size
        return example

    def _example(self, utterance: Utterance) -> Example:
        target = self.task.target(utterance) if self._targets else NO_TARGET
        if self._folder is None or self.task.front_end_is_frozen != self._frozen:
            return Example(utterance.id, *self._encoded(utterance), target, utterance.language)
        # An id may hold a slash; a digest is a safe file name that spreads over folders.
        name = f"{utterance.id}\0{utterance.audio}\0{_state(utterance.audio)}"
        key = hashlib.sha256(name.encode()).hexdigest()
        path = self._folder / key[:2] / f"{key[2:34]}.features"
        if (kept := _read(path)) is None:
            kept = self._encoded(utterance)
            _write(path, *kept)
        return Example(utterance.id, *kept, target, utterance.language)

    def _encoded(self, utterance: Utterance) -> tuple[Float[Tensor, "..."], int]:
        """The model's input for an utterance, and its number of samples."""
        audio = self._wave(utterance)
        try:
            return self.task.encode(audio), len(audio)
        except InputError as error:
            raise InputError(f"utterance {utterance.id}: {error}") from error

    def _wave(self, utterance: Utterance) -> Float[np.ndarray, " samples"]:
        """The wave of an utterance, long enough for the model."""
        audio = self.load(utterance)
        front_end = self.task.front_end
        frames = int(front_end.frames(torch.tensor([len(audio)])))
        if not len(audio) or frames < front_end.fewest_frames:
            raise InputError(
                f"utterance {utterance.id}: {len(audio)} samples are too few for the model "
                f"({utterance.audio}); leave it out"
            )
        return audio


def _write(path: Path, features: Float[Tensor, "..."], samples: int) -> None:
    """Keep features and their number of samples, behind the digest of both."""
    content = io.BytesIO()
    np.savez(content, features=features.numpy(), samples=np.int64(samples))
    with atomic_write(path, durable=False) as partial:
        partial.write_bytes(_digest(content.getbuffer()) + content.getbuffer())


def _read(path: Path) -> tuple[Float[Tensor, "..."], int] | None:
    """Cached features and their number of samples; None where the file is missing or damaged.

    A crash of the system may cut a file short; its features are computed again.
    """
    try:
        stored = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    found, content = stored[:DIGEST], stored[DIGEST:]
    if found != _digest(content):
        return None
    with np.load(io.BytesIO(content)) as arrays:
        return torch.from_numpy(arrays["features"]), int(arrays["samples"])


def _digest(content: memoryview) -> bytes:
    return hashlib.sha256(content).digest()


def _state(recording: Path) -> tuple[int, int] | None:
    """Size and time of a file, which change when it is replaced; None if it is not a file."""
    if not recording.is_file():
        return None
    status = recording.stat()
    return status.st_size, status.st_mtime_ns

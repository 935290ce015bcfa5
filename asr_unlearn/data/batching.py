"""Batches of utterances of similar length, in a seeded order with random access."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.launch import WHOLE, Share

T = TypeVar("T")

BUCKETS_A_POOL = 32


@dataclass(frozen=True)
class Batch:
    """Padded model inputs and targets of B utterances.

    `inputs` is either waves [B, S] (float32, 16 kHz mono) or front-end features [B, T, C];
    `samples` are the true lengths in audio samples in both cases, since every model derives its
    frame counts from them. `targets` is padded with -100. `languages` are those of the manifest,
    or nothing where it has none.
    """

    ids: tuple[str, ...]
    inputs: Float[Tensor, "B ..."]
    samples: Int[Tensor, " B"]
    targets: Int[Tensor, "B L"]
    target_lengths: Int[Tensor, " B"]
    languages: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            self.ids,
            self.inputs.to(device),
            self.samples.to(device),
            self.targets.to(device),
            self.target_lengths.to(device),
            self.languages,
        )

    def take(self, indices: Int[Tensor, " N"]) -> "Batch":
        """The utterances at these indices, padded as they are."""
        return Batch(
            tuple(self.ids[i] for i in indices.tolist()),
            self.inputs[indices],
            self.samples[indices],
            self.targets[indices],
            self.target_lengths[indices],
            tuple(self.languages[i] for i in indices.tolist()) if self.languages else (),
        )


def is_own(length: int, frames: Int[Tensor, " B"]) -> Bool[Tensor, "B {length}"]:
    """Which of `length` frames are not padding."""
    return torch.arange(length, device=frames.device) < frames[:, None]


@dataclass(frozen=True)
class Example:
    """One utterance's unpadded model input and target."""

    id: str
    input: Float[Tensor, "..."]
    samples: int
    target: Int[Tensor, " L"]
    language: str | None = None


# Changes an example at random, by a seed (see `augmentation`).
Change = Callable[[Example, Sequence[int]], Example]


def collate(examples: Sequence[Example]) -> Batch:
    """Pad with zeros (inputs) and -100 (targets) to the longest of the batch."""
    pad = torch.nn.utils.rnn.pad_sequence
    languages = tuple(e.language for e in examples)
    return Batch(
        ids=tuple(e.id for e in examples),
        inputs=pad([e.input for e in examples], batch_first=True),
        samples=torch.tensor([e.samples for e in examples]),
        targets=pad([e.target for e in examples], batch_first=True, padding_value=-100),
        target_lengths=torch.tensor([len(e.target) for e in examples]),
        languages=languages if any(languages) else (),
    )


def epoch_order(
    seconds: Sequence[float], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Indices of each batch of one epoch: every utterance once, similar lengths together.

    A pure function of its arguments, so that a resumed run needs no replay. Utterances are
    shuffled, sorted by length within pools of 32 batches, cut, and the batches shuffled again:
    there is little padding, and the batches differ from epoch to epoch.
    """
    rng = np.random.default_rng([seed, epoch])
    lengths = np.asarray(seconds)
    count = -(-len(lengths) // batch_size)
    # Cut into batches of nearly equal size, so that none is left with a few utterances.
    shuffled = np.array_split(rng.permutation(len(lengths)), count)
    batches: list[list[int]] = []
    for start in range(0, count, BUCKETS_A_POOL):
        sizes = [len(batch) for batch in shuffled[start : start + BUCKETS_A_POOL]]
        pool = np.concatenate(shuffled[start : start + BUCKETS_A_POOL])
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [batch.tolist() for batch in np.split(pool, np.cumsum(sizes)[:-1])]
    return [batches[i] for i in rng.permutation(count)]


class BatchSource:
    """The endless sequence of batches of one part, epoch after epoch.

    `source[step]` is the batch of that step, or a process's share of it; `pieces` gives it in
    batches of at most `longest` samples with padding, where every utterance is padded to at least
    `shortest`.

    Raises:
        InputError: no utterances, or too few in a batch for every process to have one.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        example: Callable[[Utterance], Example],
        *,
        batch_size: int,
        seed: int,
        changes: Sequence[Change] = (),
        device: torch.device | None = None,
        share: Share = WHOLE,
        longest: float = math.inf,
        shortest: int = 0,
    ) -> None:
        if not utterances:
            raise InputError("no utterances to draw batches from")
        self.steps_per_epoch = -(-len(utterances) // batch_size)
        if len(utterances) // self.steps_per_epoch < share.world_size:
            raise InputError(
                f"batches of {batch_size} of {len(utterances)} utterances do not give each of "
                f"{share.world_size} processes one; use larger batches or fewer processes"
            )
        self.utterances = list(utterances)
        self.example = example
        self.batch_size = batch_size
        self.seed = seed
        self.changes = tuple(changes)
        self.device = device or torch.device("cpu")
        self.share = share
        self.longest, self.shortest = longest, shortest
        self._order = lru_cache(maxsize=2)(self._epoch_order)

    def _epoch_order(self, epoch: int) -> list[list[int]]:
        seconds = [u.seconds for u in self.utterances]
        return epoch_order(seconds, self.batch_size, self.seed, epoch)

    def __getitem__(self, step: int) -> Batch:
        return collate(self._examples(step)).to(self.device)

    def pieces(self, step: int) -> list[Batch]:
        """The batch of a step in pieces, each padded to its own longest utterance."""
        own = self._examples(step)
        lengths = [max(example.samples, self.shortest) for example in own]
        return [collate(own[piece]).to(self.device) for piece in cut(lengths, self.longest)]

    def _examples(self, step: int) -> list[Example]:
        epoch, position = divmod(step, self.steps_per_epoch)
        examples = []
        for index in self.share.of_all(self._order(epoch)[position]):
            example = self.example(self.utterances[index])
            for change in self.changes:
                example = change(example, [self.seed, epoch, index])
            examples.append(example)
        return examples


def cut(lengths: Sequence[int], longest: float) -> list[slice]:
    """Consecutive pieces of a list, as few as have at most `longest` samples with padding.

    An utterance that is longer is a piece of its own.
    """
    pieces, start, widest = [], 0, 0
    for end, length in enumerate(lengths):
        widest = max(widest, length)
        if end > start and (end + 1 - start) * widest > longest:
            pieces.append(slice(start, end))
            start, widest = end, length
    return [*pieces, slice(start, len(lengths))]


def by_length(utterances: Sequence[Utterance], batch_size: int) -> list[list[Utterance]]:
    """Batches for evaluation, longest first, so that a batch too large for memory fails at once."""
    ordered = sorted(utterances, key=lambda u: (-u.seconds, u.id))
    return [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]

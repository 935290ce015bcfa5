"""What a model says of utterances: one loss and one transcript each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from tqdm import tqdm

from asr_unlearn.batching import Example, by_length, collate
from asr_unlearn.manifest import Utterance
from asr_unlearn.metrics.wer import Errors, count_errors, rate
from asr_unlearn.tasks.task import Task


@dataclass(frozen=True)
class Score:
    """A model's per-utterance loss (nats per label), its answer, and the right one.

    `confidence` and `entropy` say how sure it was (see `Certainty`).
    """

    utterance: Utterance
    loss: float
    confidence: float
    entropy: float
    hypothesis: str
    reference: str
    one_label: bool = False

    def errors(self, unit: Literal["word", "character"]) -> Errors:
        """Of a transcript by words or characters; a class is right or wrong as a whole."""
        if self.one_label:
            return Errors(int(self.hypothesis != self.reference), 1)
        return count_errors(self.reference, self.hypothesis, unit)


@dataclass(frozen=True)
class Level:
    """How well a model knows a group of speakers: mean per-utterance loss, and pooled CER.

    Of a classifier, `cer` is the share of wrong answers.
    """

    loss: float
    cer: float


def score(
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    *,
    batch_size: int = 16,
    description: str | None = None,
) -> list[Score]:
    """Score every utterance, in the order given; a progress bar when described."""
    if not task.batches_are_exact:
        batch_size = 1
    training = task.model.training
    task.model.eval()
    found: dict[str, Score] = {}
    bar = tqdm(
        total=len(utterances), desc=description, unit="utt", disable=description is None, delay=2
    )
    with torch.inference_mode(), bar:
        for group in by_length(utterances, batch_size):
            batch = collate([example(u) for u in group]).to(task.device)
            answers = task.score(batch)
            figures = (answers.losses, *answers.certainty)
            numbers = zip(*(figure.tolist() for figure in figures), strict=True)
            for utterance, text, (loss, confidence, entropy) in zip(
                group, answers.texts, numbers, strict=True
            ):
                right = task.reference(utterance)
                found[utterance.id] = Score(
                    utterance, loss, confidence, entropy, text, right, task.one_label
                )
            bar.update(len(group))
    task.model.train(training)
    return [found[u.id] for u in utterances]


def level(scores: Sequence[Score]) -> Level:
    """The level of a group of scored utterances.

    Raises:
        ValueError: nothing was scored.
    """
    if not scores:
        raise ValueError("no utterances to measure a level on")
    counts = [s.errors("character") for s in scores]
    return Level(loss=sum(s.loss for s in scores) / len(scores), cer=rate(counts))

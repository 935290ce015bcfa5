"""What a model says of utterances: one loss and one transcript each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from tqdm import tqdm

from asr_unlearn.data.batching import Batch, Example, by_length, collate
from asr_unlearn.data.labels import label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.metrics.wer import Errors, count_errors, rate
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError

A = TypeVar("A")


@dataclass(frozen=True)
class UtteranceLoss:
    """A model's loss on an utterance, in nats per label."""

    utterance: Utterance
    loss: float


@dataclass(frozen=True)
class Score(UtteranceLoss):
    """The loss, the model's answer, and the right one.

    `confidence` and `entropy` say how sure it was (see `Certainty`).
    """

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
class MeanScore:
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
    found: dict[str, Score] = {}
    for group, answers in _ask(task.score, task, example, utterances, batch_size, description):
        figures = (answers.losses, *answers.certainty)
        numbers = zip(*(figure.tolist() for figure in figures), strict=True)
        for utterance, text, (loss, confidence, entropy) in zip(
            group, answers.texts, numbers, strict=True
        ):
            right = task.reference(utterance)
            found[utterance.id] = Score(
                utterance, loss, confidence, entropy, text, right, task.one_label
            )
    return [found[u.id] for u in utterances]


def measure_losses(
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    *,
    batch_size: int = 16,
    description: str | None = None,
) -> list[UtteranceLoss]:
    """Only the losses: a decoder is spared writing, which takes most of the time."""
    found: dict[str, UtteranceLoss] = {}
    for group, losses in _ask(task.losses, task, example, utterances, batch_size, description):
        for utterance, loss in zip(group, losses.tolist(), strict=True):
            found[utterance.id] = UtteranceLoss(utterance, loss)
    return [found[u.id] for u in utterances]


def _ask(
    question: Callable[[Batch], A],
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    batch_size: int,
    description: str | None,
) -> list[tuple[list[Utterance], A]]:
    """The answers to batches of similar length, by the model in eval mode."""
    size = batch_size if task.batches_are_exact else 1
    training = task.model.training
    task.model.eval()
    answers = []
    bar = tqdm(
        total=len(utterances), desc=description, unit="utt", disable=description is None, delay=2
    )
    with torch.inference_mode(), bar:
        for group in by_length(utterances, size):
            batch = collate([example(u) for u in group]).to(task.device)
            answers.append((group, question(batch)))
            bar.update(len(group))
    task.model.train(training)
    return answers


def mean_score(scores: Sequence[Score]) -> MeanScore:
    """The level of a group of scored utterances.

    Raises:
        ValueError: nothing was scored.
    """
    if not scores:
        raise InputError("no utterances to measure a level on")
    counts = [s.errors("character") for s in scores]
    return MeanScore(loss=sum(s.loss for s in scores) / len(scores), cer=rate(counts))


def with_known_labels(task: Task, utterances: Sequence[Utterance]) -> list[Utterance]:
    """Those that have a right answer: a classifier of speakers has no stranger's name."""
    if not task.one_label:
        return list(utterances)
    known = task.model.config.label2id or {}
    return [u for u in utterances if label_of(u) in known]

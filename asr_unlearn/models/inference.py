"""Losses and predictions of a model on utterances, and mean scores of groups of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from asr_unlearn.data.batching import Batch, Example, by_length, collate
from asr_unlearn.data.labels import label_of
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.metrics.wer import Errors, count_errors, rate
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.runtime.sharding import is_sharded

T = TypeVar("T")
# In one pass of an evaluation.
UTTERANCES = 16


@dataclass(frozen=True)
class UtteranceLoss:
    """A model's loss on an utterance, in nats per label."""

    utterance: Utterance
    loss: float


@dataclass(frozen=True)
class Score(UtteranceLoss):
    """The loss, the prediction (`hypothesis`) and the reference, as error rates compare them.

    `confidence` and `entropy` are those of `Certainty`; `one_label` marks a classifier's. `raw` are
    prediction and reference before normalisation, None where nothing is normalised.
    """

    confidence: float
    entropy: float
    hypothesis: str
    reference: str
    one_label: bool = False
    raw: tuple[str, str] | None = None

    def errors(self, unit: Literal["word", "character"]) -> Errors:
        """Errors of a transcript in words or characters; a class is right or wrong as a whole."""
        if self.one_label:
            return Errors(int(self.hypothesis != self.reference), 1)
        return count_errors(self.reference, self.hypothesis, unit)


@dataclass(frozen=True)
class MeanScore:
    """The mean loss of a group of utterances, and their pooled CER, a classifier's error rate.

    The CER is None where transcripts were not generated.
    """

    loss: float
    cer: float | None


def score(
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    *,
    description: str | None = None,
) -> list[Score]:
    """Score every utterance, in the order given; a progress bar when described."""
    found: dict[str, Score] = {}
    for group, output in in_batches(task.score, task, example, utterances, description):
        figures = (output.losses, *output.certainty)
        numbers = zip(*(figure.tolist() for figure in figures), strict=True)
        for utterance, text, (loss, confidence, entropy) in zip(
            group, output.texts, numbers, strict=True
        ):
            right = task.written_reference(utterance)
            found[utterance.id] = Score(
                utterance,
                loss,
                confidence,
                entropy,
                hypothesis=task.compared(text, utterance.language),
                reference=task.compared(right, utterance.language),
                one_label=task.one_label,
                raw=(text, right) if task.normalises else None,
            )
    return [found[u.id] for u in utterances]


def measure_losses(
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    *,
    description: str | None = None,
) -> list[UtteranceLoss]:
    """The losses alone: decoding, which takes most of the time of `score`, is left out."""
    found: dict[str, UtteranceLoss] = {}
    for group, losses in in_batches(task.losses, task, example, utterances, description):
        for utterance, loss in zip(group, losses.tolist(), strict=True):
            found[utterance.id] = UtteranceLoss(utterance, loss)
    return [found[u.id] for u in utterances]


def together(*tasks: Task) -> int:
    """How many utterances go through these models at once; one where others would change it."""
    return UTTERANCES if all(task.batches_are_exact for task in tasks) else 1


def in_batches(
    function: Callable[[Batch], T],
    task: Task,
    example: Callable[[Utterance], Example],
    utterances: Sequence[Utterance],
    description: str | None,
) -> list[tuple[list[Utterance], T]]:
    """Return groups of similar length and the function's outputs on them, in eval mode."""
    size = together(task)
    training = task.model.training
    task.model.eval()
    outputs = []
    # Gathered weights stay where training uses them again.
    no_gradients = torch.no_grad() if is_sharded(task.model) else torch.inference_mode()
    bar = Bar(
        total=len(utterances), desc=description, unit="utt", disable=description is None, delay=2
    )
    with no_gradients, bar:
        for group in by_length(utterances, size):
            batch = collate([example(u) for u in group]).to(task.device)
            outputs.append((group, function(batch)))
            bar.update(len(group))
    task.model.train(training)
    return outputs


def by_all_processes(
    measure: Callable[..., list[T]],
    inputs: Inputs,
    utterances: Sequence[Utterance],
    description: str | None = None,
) -> list[T]:
    """The result of `score` or `measure_losses`, each process measuring its share.

    With several processes the order is that of their ranks. A sharded model needs all processes for
    every batch: each measures all of them.
    """
    if is_sharded(inputs.task.model):
        return measure(inputs.task, inputs, utterances, description=description)
    own = distributed.share().of_all(utterances)
    shown = description if distributed.is_first() else None
    return distributed.gathered(measure(inputs.task, inputs, own, description=shown))


def group_score(
    inputs: Inputs,
    utterances: Sequence[Utterance],
    description: str | None = None,
    *,
    transcripts: bool = True,
) -> MeanScore:
    """The mean score of a group of utterances, measured by all processes together.

    Args:
        transcripts: False leaves out the CER, which takes a decoder several times as long as the
            losses.

    Raises:
        InputError: there are no utterances.
    """
    return mean_score(group_scores(inputs, utterances, description, transcripts=transcripts))


def group_scores(
    inputs: Inputs,
    utterances: Sequence[Utterance],
    description: str | None = None,
    *,
    transcripts: bool = True,
) -> Sequence[UtteranceLoss]:
    """The score of each utterance of a group, or its loss alone; see `group_score`."""
    if transcripts:
        return by_all_processes(score, inputs, utterances, description)
    return by_all_processes(measure_losses, inputs, utterances, description)


def quick_scores(
    inputs: Inputs, utterances: Sequence[Utterance], description: str | None = None
) -> Sequence[UtteranceLoss]:
    """The score of each utterance, without transcripts where a decoder would have to write them."""
    transcripts = not inputs.task.generates
    return group_scores(inputs, utterances, description, transcripts=transcripts)


def mean_score(scores: Sequence[UtteranceLoss]) -> MeanScore:
    """The mean score of a group of utterances, without CER if these are losses alone.

    Raises:
        InputError: there are none.
    """
    if not scores:
        raise InputError("no utterances to take a mean score of")
    counts = [s.errors("character") for s in scores if isinstance(s, Score)]
    loss = sum(s.loss for s in scores) / len(scores)
    return MeanScore(loss=loss, cer=rate(counts) if counts else None)


def with_known_labels(task: Task, utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances whose label is a class of a classifier; all of them for a recogniser."""
    if not task.one_label:
        return list(utterances)
    known = task.model.config.label2id or {}
    return [u for u in utterances if label_of(u) in known]

"""The spelling of a decoder's transcripts, chosen by its loss and recorded in its config."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import NAMES, Spelling, respelled
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once

SpellingChoice = Literal["auto", "as_given", "lower", "upper"]
# Utterances that the choice is made on.
FEW = 8


def choose_spelling(
    task: Task,
    utterances: Sequence[Utterance],
    wanted: SpellingChoice = "auto",
    load: Callable[[Utterance], Float[np.ndarray, " samples"]] | None = None,
) -> Spelling | None:
    """Choose how a decoder spells transcripts, and record it in the config of the model.

    A recorded spelling stays unless `wanted` is another. Else it is the one in which the first
    utterances, by their ids, have the lowest loss; of equal ones the first of `NAMES`.

    Args:
        task: any; only a `Seq2Seq` has a choice, the vocabularies of others determine the spelling.
        utterances: to choose by.
        wanted: "auto", or the spelling to record.
        load: reads the wave of an utterance; by default from its file.

    Returns:
        The spelling; None for other tasks, and where all spellings are the same.

    Raises:
        InputError: a spelling is given, and the model has no decoder.
    """
    if not isinstance(task, Seq2Seq):
        if wanted != "auto":
            raise InputError(f"--spelling {wanted}: the model's vocabulary or classes determine it")
        return None
    config: Any = task.model.config
    if wanted != "auto":
        config.transcript_spelling = wanted
    if task.spelling is None:
        losses = {spelling: _nll(task, utterances, spelling, load) for spelling in NAMES}
        possible = {spelling: loss for spelling, loss in losses.items() if loss is not None}
        config.transcript_spelling = min(possible, key=lambda s: possible[s]) if possible else None
        if possible:
            name = NAMES[config.transcript_spelling]
            warn_once(f"transcripts are spelled {name}: by its loss the model writes so")
    return task.spelling


def _nll(
    task: Seq2Seq,
    utterances: Sequence[Utterance],
    spelling: Spelling,
    load: Callable[[Utterance], Float[np.ndarray, " samples"]] | None,
) -> float | None:
    """Negative log-likelihood of the transcripts in one spelling; None if one cannot be spelled."""
    config: Any = task.model.config
    longest = task.longest_seconds
    cased = [u for u in utterances if len({respelled(u.text or "", s) for s in NAMES}) > 1]
    few = sorted((u for u in cased if u.seconds <= longest), key=lambda u: u.id)[:FEW]
    was_training = task.model.training
    config.transcript_spelling = spelling
    try:
        task.model.eval()
        with torch.no_grad():
            batches = [collate([Inputs(task, load=load)(u)]).to(task.device) for u in few]
            summed = [task.losses(batch) * batch.target_lengths for batch in batches]
    except InputError:
        return None
    finally:
        config.transcript_spelling = None
        task.model.train(was_training)
    return float(torch.cat(summed).sum()) if summed else None

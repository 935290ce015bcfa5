"""How a Whisper spells transcripts: chosen once by its own loss, and recorded in its config."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.batching import collate
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.spelling import NAMES, Spelling, respelled
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.tasks.seq2seq import Seq2Seq
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.log import warn_once

Asked = Literal["auto", "as_given", "lower", "upper"]
# Utterances that the choice is made on.
FEW = 8


def choose_spelling(
    task: Task,
    utterances: Sequence[Utterance],
    asked: Asked = "auto",
    load: Callable[[Utterance], Float[np.ndarray, " samples"]] | None = None,
) -> Spelling | None:
    """Returns how a Whisper spells transcripts, and records it in the config of the model.

    What has been recorded stays, unless another spelling is asked for. Else it is the spelling of
    the first utterances, by their ids, that the model finds likeliest; of those that are as likely
    the one as given.

    Args:
        task: any; nothing is chosen for tasks other than `Seq2Seq`, whose vocabularies tell.
        utterances: to choose by.
        asked: "auto", or the spelling to record.
        load: reads the wave of an utterance; by default from its file.

    Returns:
        The spelling; None for other tasks, and where nothing tells the spellings apart.

    Raises:
        InputError: a spelling is asked for, and the model is no Whisper.
    """
    if not isinstance(task, Seq2Seq):
        if asked != "auto":
            raise InputError(f"--spelling {asked}: the model's vocabulary or classes tell it")
        return None
    config: Any = task.model.config
    if asked != "auto":
        config.transcript_spelling = asked
    if task.spelling is None:
        losses = {spelling: _likelihood(task, utterances, spelling, load) for spelling in NAMES}
        known = {spelling: loss for spelling, loss in losses.items() if loss is not None}
        config.transcript_spelling = min(known, key=lambda s: known[s]) if known else None
        if known:
            name = NAMES[config.transcript_spelling]
            warn_once(f"transcripts are spelled {name}: by its loss the model writes so")
    return task.spelling


def _likelihood(
    task: Seq2Seq,
    utterances: Sequence[Utterance],
    spelling: Spelling,
    load: Callable[[Utterance], Float[np.ndarray, " samples"]] | None,
) -> float | None:
    """Negative log-likelihood of the transcripts in one spelling; None if one cannot be spelled."""
    config: Any = task.model.config
    longest = task.front_end.longest / SAMPLE_RATE
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

"""Shorten the window of a Whisper encoder to the longest utterance."""

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

from asr_unlearn.data.audio import SAMPLE_RATE
from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.models.tasks.whisper_seq2seq import WhisperSeq2Seq
from asr_unlearn.runtime.errors import InputError

Window: TypeAlias = Literal["auto", "full"] | float
"""The longest utterance rounded up to whole seconds, the model's own window, or seconds."""


def longest_seconds(utterances: Iterable[Utterance]) -> float | None:
    """Seconds of the longest utterance; None where a length is unknown or there are none."""
    lengths = [u.seconds for u in utterances]
    return max(lengths) if lengths and min(lengths) > 0 else None


def check_window(window: Window) -> None:
    """Raises InputError for seconds that no window can have."""
    if not isinstance(window, str) and not 0 < window < math.inf:
        raise InputError(f"--window {window:g}: give seconds above 0, auto or full")


def set_window(task: Task, window: Window, utterances: Iterable[Utterance]) -> float | None:
    """Shorten the window of a recogniser's encoder to what `utterances` need.

    A classifier averages its encoder's states over the window, so that a shorter one would change
    its predictions: it keeps its own (see `models.whisper.shorten_window`).

    Returns:
        Seconds of the window in use, None for a model whose inputs have no fixed length.

    Raises:
        InputError: seconds for such a model or for a classifier, or more than the model's window.
    """
    if not isinstance(task, WhisperSeq2Seq):
        if window not in ("auto", "full"):
            raise InputError(
                f"--window {window:g}: only a Whisper that transcribes has a window to shorten; "
                f"leave it out for {type(task.model).__name__}"
            )
        return None
    front_end = task.front_end
    own: float = front_end.extractor.n_samples / SAMPLE_RATE
    if window == "auto":
        # An utterance longer than the model's own window is refused by name, with its target.
        front_end.set_window(min(longest_seconds(utterances) or own, own))
    else:
        front_end.set_window(own if window == "full" else window)
    return front_end.window

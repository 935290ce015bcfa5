"""What every task offers: a model that answers utterances, with one loss each."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel

from asr_unlearn.audio import SAMPLE_RATE
from asr_unlearn.batching import Batch
from asr_unlearn.errors import InputError
from asr_unlearn.manifest import Utterance
from asr_unlearn.tasks.certainty import Answers
from asr_unlearn.tasks.front_end import FrontEnd

NAMED = 10


@runtime_checkable
class Task(Protocol):
    """A model, its processor, and how its utterances are encoded, scored and transcribed."""

    model: PreTrainedModel
    processor: Any

    @property
    def one_label(self) -> bool:
        """Whether an answer is the name of a class, right or wrong as a whole."""

    @property
    def front_end(self) -> FrontEnd:
        """What comes first in the model."""

    @property
    def device(self) -> torch.device:
        """Where the model lives; batches are moved there."""

    def cache_key(self) -> str | None:
        """Names what `encode` computes when that is worth keeping on disk, None for a bare wave."""

    def encode(self, audio: Float[np.ndarray, " samples"]) -> Float[Tensor, "..."]:
        """One utterance's model input, unpadded: a wave [samples], or features [T, C]."""

    def target(self, utterance: Utterance) -> Int[Tensor, " labels"]:
        """The label ids of one utterance; raises ValueError, naming it, where it can have none."""

    def reference(self, utterance: Utterance) -> str:
        """What the right answer would be, spelled as `score` spells its own."""

    def losses(self, batch: Batch) -> Float[Tensor, " B"]:
        """Per-utterance losses, differentiable with respect to the trainable parameters."""

    def score(self, batch: Batch) -> Answers:
        """Losses, greedily decoded answers and certainty, from one forward pass."""

    def distributions(self, batch: Batch) -> tuple[Float[Tensor, "B T V"], Bool[Tensor, "B T"]]:
        """Log-probabilities of each frame or token, and which of them are not padding."""

    def states(self, batch: Batch) -> tuple[Float[Tensor, "B T C"], Bool[Tensor, "B T"]]:
        """The encoder's last states, and which of them are an utterance's own."""

    def fits(self, target: Int[Tensor, " labels"], samples: int) -> bool:
        """Whether an utterance of that many samples can have that target at all."""

    def with_model(self, model: PreTrainedModel) -> "Task":
        """The same task for another model of the same kind, a teacher for instance."""

    def layers(self) -> list[nn.Module]:
        """What the model computes one after the other behind the front end; the head is last."""

    def freeze_front_end(self) -> None:
        """Keep the first layers as they are, if the model has any of that kind."""

    @property
    def front_end_is_frozen(self) -> bool:
        """Whether no parameter of the first layers is trained."""

    @property
    def batches_are_exact(self) -> bool:
        """Whether an utterance in a padded batch gives what it gives alone."""


def check_targets(task: Task, utterances: Sequence[Utterance], fastest: float = 1.0) -> None:
    """Raises ValueError, naming them, if utterances have no target: none is silently left out.

    Nor may a target be longer than its utterance has room for when it is played `fastest` times
    as fast, or the right answer be nothing.
    """
    bar = tqdm(utterances, desc="checking targets", unit="utt", delay=2, leave=False)
    problems = [problem for utterance in bar if (problem := _problem(task, utterance, fastest))]
    if len(problems) > NAMED:
        problems[NAMED:] = [f"and {len(problems) - NAMED} more"]
    if problems:
        raise InputError("\n".join(problems))


def _problem(task: Task, utterance: Utterance, fastest: float) -> str | None:
    """Why an utterance cannot be asked, by what the manifest says of it."""
    try:
        target = task.target(utterance)
    except ValueError as error:
        return str(error)
    if not task.fits(target, round(utterance.seconds * SAMPLE_RATE / fastest)):
        sped = "" if fastest == 1 else f", {fastest:g} times as fast,"
        return (
            f"utterance {utterance.id}: {utterance.seconds:.2f} s of audio{sped} have no room for "
            f"the {len(target)} labels of {utterance.text!r}"
        )
    if not task.reference(utterance).strip():
        return f"utterance {utterance.id}: nothing of {utterance.text!r} is left to be compared"
    return None

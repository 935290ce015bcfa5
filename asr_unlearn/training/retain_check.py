"""Whether a model still recognises the retain speakers, measured before and after unlearning.

Too high a learning rate ruins a model: it counts as ruined if its loss on retain utterances is
above that of a uniform guess among its outputs, or nearly all its predictions are wrong, and
neither was so before. Where predictions would have to be generated, half of that loss is enough.
Short of that, it has forgotten the retain speakers too if their loss has gone a good part of the
way to that of unseen speakers.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.training.outcome import DivergedError

# Enough to tell a ruined model, of which nearly everything is wrong; and enough to tell how hard
# the retain speakers are, which the stop target without a reference model depends on.
FEW, MANY = 16, 50
# Error rates from which a model is ruined, and up to which it recognised something before.
RUINED, RECOGNISED = 0.95, 0.5
# From which part of the way to the unseen speakers' loss retain speakers count as forgotten, where
# the original's loss on them was at most so much of that on unseen speakers.
FORGOTTEN_TOO, TRAINED_ON = 0.25, 0.5


def sample(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """Up to `most` utterances, evenly from the whole."""
    spread = -(-len(utterances) // most) or 1
    return list(utterances[::spread])


@dataclass(frozen=True)
class RetainCheck:
    """The mean score of the same retain utterances before and after unlearning.

    Attributes:
        before, after: the scores.
        utterances: how many there are.
        outputs: entries of the recogniser's vocabulary, or the classifier's classes.
        unseen_loss: the original's mean loss on unseen speakers; None if it was not measured.
    """

    before: MeanScore
    after: MeanScore
    utterances: int
    outputs: int
    unseen_loss: float | None = None

    def recorded(self) -> dict[str, Any]:
        """The figures for run.json."""
        return {
            "utterances": self.utterances,
            "before": asdict(self.before),
            "after": asdict(self.after),
        }

    @property
    def warning(self) -> str | None:
        """A sentence that says what was lost and what to do; None where nothing much was."""
        before, after, guess = self.before, self.after, math.log(self.outputs)
        limit = guess / 2 if after.cer is None else guess
        errors = (1.0 if before.cer is None else before.cer, after.cer or 0.0)
        if errors[0] <= RECOGNISED and errors[1] >= RUINED:
            why = f"the error rate is {errors[1]:.0%}, {errors[0]:.0%} before"
        elif after.loss > limit and before.loss <= limit / 2:
            why = (
                f"the loss is {after.loss:.3g}, {before.loss:.3g} before, and that of a "
                f"uniform guess among {self.outputs} outputs is {guess:.3g}"
            )
        else:
            return self._forgotten_too()
        return (
            f"the model is ruined: on {self.utterances} utterances of the retain set {why}; "
            "unlearn with a lower lr or fewer epochs, or stop early with --stop.rule unseen"
        )

    def _forgotten_too(self) -> str | None:
        before, after, unseen = self.before.loss, self.after.loss, self.unseen_loss
        if unseen is None or before > TRAINED_ON * unseen:
            return None
        if after - before < FORGOTTEN_TOO * (unseen - before):
            return None
        return (
            f"others were forgotten too: on {self.utterances} utterances of the retain set the "
            f"loss is {after:.3g}, {before:.3g} before, and {unseen:.3g} on unseen speakers; use "
            "larger retain batches, more and smaller steps, or another method"
        )


def outputs(task: Task) -> int:
    """The number of entries of a recogniser's vocabulary, or of a classifier's classes."""
    config: Any = task.model.config
    return int(config.num_labels if task.one_label else config.vocab_size)


def check_model_finite(task: Task, after: MeanScore | None) -> None:
    """Raises DivergedError for weights, or a loss on retain utterances, that are not finite."""
    bad = [n for n, p in task.model.named_parameters() if not torch.isfinite(p).all()]
    if bad:
        raise DivergedError(
            f"after unlearning {len(bad)} tensors of weights are not finite, {bad[0]} the first; "
            "unlearn with a lower lr"
        )
    if after is not None and not math.isfinite(after.loss):
        raise DivergedError(
            f"after unlearning the loss on retain utterances is {after.loss}; "
            "unlearn with a lower lr"
        )

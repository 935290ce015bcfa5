"""Whether a model still recognises those who are to be kept, measured before and after unlearning.

Unlearning may be set to such a rate that nothing is left of the model. It is ruined if it is worse
than a guess: its loss on retain utterances is above that of a uniform guess among its outputs, or
nearly all that it says of them is wrong, neither of which was so before.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.models.tasks.task import Task
from asr_unlearn.training.trainer import DivergedError

# Enough to tell a ruined model, of which nearly everything is wrong.
UTTERANCES = 50
# Error rates above which nearly all is wrong, and up to which a model recognised something.
RUINED, RECOGNISED = 0.95, 0.5


def sample(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Up to 50 utterances, evenly from the whole."""
    spread = -(-len(utterances) // UTTERANCES) or 1
    return list(utterances[::spread])


@dataclass(frozen=True)
class RetainCheck:
    """MeanScore of the same retain utterances before and after, and the number of the model's outputs.

    Outputs are the entries of a recogniser's vocabulary, or a classifier's classes.
    """

    before: MeanScore
    after: MeanScore
    utterances: int
    outputs: int

    def recorded(self) -> dict[str, Any]:
        """The figures for run.json; `cer` of a classifier is the share of wrong answers."""
        return {
            "utterances": self.utterances,
            "before": asdict(self.before),
            "after": asdict(self.after),
        }

    @property
    def warning(self) -> str | None:
        """That the model is ruined, by which figures, and what to do; None where it is not."""
        before, after, guess = self.before, self.after, math.log(self.outputs)
        if after.cer >= RUINED and before.cer <= RECOGNISED:
            why = f"{after.cer:.0%} of what it says of them is wrong, {before.cer:.0%} before"
        elif after.loss > guess and before.loss <= guess / 2:
            why = (
                f"its loss on them is {after.loss:.3g}, {before.loss:.3g} before, and that of a "
                f"uniform guess among {self.outputs} outputs is {guess:.3g}"
            )
        else:
            return None
        return (
            f"the model is ruined: of {self.utterances} utterances of people who are to be kept, "
            f"{why}; unlearn with a lower lr or fewer epochs, or let --stop.rule unseen end it"
        )


def outputs(task: Task) -> int:
    """How many entries the vocabulary of a recogniser has, or classes a classifier."""
    config: Any = task.model.config
    return int(config.num_labels if task.one_label else config.vocab_size)


def check_finite(task: Task, after: MeanScore | None) -> None:
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

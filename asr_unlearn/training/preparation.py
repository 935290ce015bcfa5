"""What unlearning finds out about the original model before the first step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient
from asr_unlearn.models.inference import MeanScore
from asr_unlearn.training.stop_rule import StopRule


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a run of unlearning goes by; a training has none of it.

    Attributes:
        stop: ends the run early; None takes all steps.
        checked: the utterances that the stop rule measures, the forget set.
        unchanged: their score by the original, if it was measured.
        difficulty: of the forget speakers (see `stop_target`), for methods with a target.
        known: losses of the original that were measured, by part and id.
        base: trainable weights of the model that the original was fine-tuned from, for methods that
            need it.
        protected: changes that no step moves the parameters along, by parameter name.
    """

    stop: StopRule | None = None
    checked: Sequence[Utterance] = ()
    unchanged: MeanScore | None = None
    difficulty: float = 1.0
    known: Mapping[Part, Mapping[str, float]] = field(default_factory=dict)
    base: Gradient = field(default_factory=dict)
    protected: Sequence[Gradient] = ()


NOTHING = Preparation()

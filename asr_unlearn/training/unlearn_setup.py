"""How a model is unlearned, apart from the options of the method and the stop rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asr_unlearn.models.tasks import Task
from asr_unlearn.models.tasks.compute import FULL, Compute
from asr_unlearn.models.tasks.transcript_spelling import SpellingChoice
from asr_unlearn.models.tasks.window import Window
from asr_unlearn.training.trained_weights import TrainedWeights

ALL_BUT_FRONT_END = TrainedWeights()


@dataclass(frozen=True, kw_only=True)
class UnlearnSetup:
    """How a model is unlearned, apart from the options of the method and the stop rule.

    Attributes:
        trained: which weights are changed.
        compute: how passes through the model are computed.
        merge: publish a whole model; False publishes the adapters that were changed alone.
        window: of a Whisper's encoder.
        spelling: of a Whisper's transcripts.
        protect_earlier: if the original was unlearned itself, change it orthogonally to how it
            changed then.
    """

    trained: TrainedWeights = ALL_BUT_FRONT_END
    compute: Compute = FULL
    merge: bool = True
    window: Window = "auto"
    spelling: SpellingChoice = "auto"
    protect_earlier: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "UnlearnSetup":
        """That of an unlearned model, from the options in its run.json, for a whole model."""
        return cls(
            trained=TrainedWeights.of(options),
            compute=Compute(**options.get("compute", {})),
            # A run without a window had the model's own.
            window=options.get("window") or "full",
            spelling=options.get("spelling", "auto"),
            protect_earlier=options.get("protect_earlier", True),
        )

    def recorded(self, task: Task, window: float | None, *, later: bool) -> dict[str, Any]:
        """The options of a run; what is seldom given only where it was.

        Args:
            window: seconds of a Whisper's encoder that were chosen.
            later: whether the request comes after another one.
        """
        options = {**self.trained.recorded(task), **self.compute.recorded()}
        if not self.merge:
            options["merge"] = False
        if window is not None:
            options["window"] = window
        if self.spelling != "auto":
            options["spelling"] = self.spelling
        if later and not self.protect_earlier:
            options["protect_earlier"] = False
        return options

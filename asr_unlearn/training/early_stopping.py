"""One stop rule for all methods: forgetting is over when the forget speakers are like strangers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore, mean_score, score
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.io import flush
from asr_unlearn.training.checkpoint import best_weights, load_weights, read_weights, save_weights
from asr_unlearn.training.interpolation import interpolate_to_target
from asr_unlearn.training.stop_rule import StopRule


@dataclass
class CheckState:
    """What was seen so far, all of it in every checkpoint.

    Attributes:
        distance: from the target, of the model at the last look.
        nearest, nearest_distance: of the nearest look before the rule was reached.
        stopped: why the run ends; empty as long as it goes on.
    """

    distance: float = float("inf")
    nearest: int | None = None
    nearest_distance: float = float("inf")
    stopped: str = ""


class EarlyStopping:
    """Measures `utterances` by the model of a run, and keeps its nearest weights in `folder`."""

    def __init__(
        self, rule: StopRule, inputs: Inputs, utterances: Sequence[Utterance], folder: Path
    ) -> None:
        self.rule, self.inputs, self.utterances, self.folder = rule, inputs, utterances, folder
        self.state = CheckState()

    def check(self, step: int) -> dict[str, float]:
        """Measure the model; stop the run where the rule says, or keep the nearest step so far.

        Returns what was measured and what it is to be, for the log.
        """
        measured, target, seen = self._level(), self.rule.target, self.state
        seen.distance = self.rule.distance(measured)
        seen.stopped = self.rule.reached(measured) or ""
        if not seen.stopped and seen.distance < seen.nearest_distance:
            seen.nearest = step
            # The original is where a run starts that goes too far at once, never its result.
            seen.nearest_distance = seen.distance if step else float("inf")
            if distributed.is_first():
                # Many of them are replaced before any checkpoint counts on them (see `flush`).
                save_weights(self.inputs.task.model, self._kept(), durable=False)
        return {
            "check_forget_loss": measured.loss,
            "check_forget_cer": measured.cer,
            "target_loss": target.loss,
            "target_cer": target.cer,
        }

    def end(self, step: int) -> tuple[float, str]:
        """From `step`, the last, to the nearest; if the run has gone too far, part of the way.

        Returns the step that is kept, a fraction between two looks, and which it is in words.
        """
        seen = self.state
        if seen.nearest is None or seen.nearest == step:
            return step, ""
        # The file must be there before all read it, and is cleared away on publication.
        distributed.wait()
        task, place = self.inputs.task, 0.0
        if seen.stopped:
            place = interpolate_to_target(
                task.model,
                read_weights(self._kept(), task.device),
                self.rule,
                lambda: self._level("where the target was reached"),
                (seen.nearest_distance, seen.distance),
            )
        else:
            load_weights(task.model, self._kept())
        distributed.wait()
        kept = seen.nearest + place * (step - seen.nearest)
        if place == 0:
            return kept, f"step {seen.nearest} of {step} was nearer and is kept"
        if place == 1:
            return kept, ""
        return kept, f"nearest between steps {seen.nearest} and {step}, and kept there"

    def flush(self) -> None:
        """Have the nearest weights on the disk, for a checkpoint that counts on them."""
        if self.state.nearest is not None:
            flush(self._kept())

    def clear(self) -> None:
        """Remove weights that are no longer the nearest."""
        for path in self.folder.glob("best-*.safetensors"):
            if path != self._kept():
                path.unlink()

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state = CheckState(**state)

    def _kept(self) -> Path:
        return best_weights(self.folder, self.state.nearest)

    def _level(self, description: str | None = None) -> MeanScore:
        """The level of the utterances, measured by all processes together."""
        mine = distributed.share().of_all(self.utterances)
        shown = description if distributed.is_first() else None
        scores = score(self.inputs.task, self.inputs, mine, description=shown)
        return mean_score(distributed.gathered(scores))

"""Early stopping: a run ends when the forget set's score reaches the target."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.data.manifest import Utterance
from asr_unlearn.models.feature_cache import Inputs
from asr_unlearn.models.inference import MeanScore, group_score
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.io import flush
from asr_unlearn.runtime.sharding import reshard, unsharded
from asr_unlearn.training.checkpoint import best_weights, load_weights, read_weights, save_weights
from asr_unlearn.training.interpolation import interpolate_to_target
from asr_unlearn.training.stop_rule import StopRule

# Share of the target's loss from which transcripts are generated.
NEAR = 0.5
# Share of the way to the target's loss from which it counts as reached.
REACHED = 0.9


@dataclass
class CheckState:
    """What the checks have found so far; every checkpoint holds it.

    Attributes:
        distance: from the target, at the last check.
        loss: of the forget set, then.
        original_loss: of the forget set, before the first step.
        nearest, nearest_distance: step of the nearest check before the target, and its distance.
        nearest_loss: of the forget set, at that step.
        stopped: why the run ends; empty while it goes on.
    """

    distance: float = float("inf")
    nearest: int | None = None
    nearest_distance: float = float("inf")
    loss: float = float("nan")
    original_loss: float = float("nan")
    nearest_loss: float = float("nan")
    stopped: str = ""


class EarlyStopping:
    """Checks the score of `utterances` by the model of a run against a rule's target.

    The weights of the nearest check are kept in `folder`.
    """

    def __init__(
        self, rule: StopRule, inputs: Inputs, utterances: Sequence[Utterance], folder: Path
    ) -> None:
        self.rule, self.inputs, self.utterances, self.folder = rule, inputs, utterances, folder
        self.state = CheckState()
        # Of the newest checkpoint, which needs these weights until there is another.
        self._checkpointed: int | None = None

    def check(self, step: int, known: MeanScore | None = None) -> dict[str, float]:
        """Stop the run if the model reaches the target; else keep its weights if it is nearest.

        Args:
            step: the last step.
            known: the score now, if it was measured.

        Returns:
            The measured and the target score, for the log.
        """
        measured, target, state = known or self._measure(), self.rule.target, self.state
        state.distance, state.loss = self.rule.distance(measured), measured.loss
        if not step:
            state.original_loss = measured.loss
        state.stopped = self.rule.reached(measured) or ""
        # The last of equally near steps; none where distances are infinite.
        nearer = float("inf") > state.distance <= state.nearest_distance
        if not state.stopped and nearer:
            state.nearest, state.nearest_loss = step, measured.loss
            # A run that overshoots at once starts from the original, but must not end with it.
            state.nearest_distance = state.distance if step else float("inf")
            model = unsharded(self.inputs.task.model)
            if distributed.is_first():
                # Often replaced before a checkpoint refers to them (see `flush`).
                save_weights(model, self._nearest_weights(), durable=False)
                self._remove_others()
        figures = {
            "check_forget_loss": measured.loss,
            "check_forget_cer": measured.cer,
            "target_loss": target.loss,
            "target_cer": target.cer,
        }
        return {name: figure for name, figure in figures.items() if figure is not None}

    def end(self, step: int) -> tuple[float, str]:
        """Set the model to the nearest weights, interpolated back if it passed the target.

        Args:
            step: the last step.

        Returns:
            The step that is kept, a fraction between two checks, and a description of it.
        """
        state = self.state
        if state.nearest is None or state.nearest == step:
            return step, ""
        # All processes read the file, which the first one has written and later removes.
        distributed.barrier()
        model, position = unsharded(self.inputs.task.model), 0.0
        if state.stopped:
            position = interpolate_to_target(
                model,
                read_weights(self._nearest_weights(), next(model.parameters()).device),
                self.rule,
                self._measure_between,
                (state.nearest_distance, state.distance),
            )
        else:
            load_weights(model, self._nearest_weights())
        reshard(self.inputs.task.model)
        distributed.barrier()
        kept = state.nearest + position * (step - state.nearest)
        if position == 0:
            return kept, f"step {state.nearest} of {step} was nearer and is kept"
        if position == 1:
            return kept, ""
        return kept, f"nearest between steps {state.nearest} and {step}, and kept there"

    def missed(self, step: int) -> str | None:
        """A sentence where the weights that are kept are far from a loss wanted; else None.

        Args:
            step: the last step.
        """
        state, target = self.state, self.rule.target.loss
        if state.stopped or self.rule.on == "cer":
            return None
        kept = state.loss if state.nearest in (None, step) else state.nearest_loss
        if kept - state.original_loss >= REACHED * (target - state.original_loss):
            return None
        return (
            f"the target was not reached: the forget loss is {kept:.3g}, {state.original_loss:.3g} "
            f"before, and {target:.3g} was wanted; give more epochs, a higher lr if the method has "
            "one, or another method"
        )

    def flush(self) -> None:
        """Write the nearest weights to the disk, before a checkpoint refers to them."""
        if self.state.nearest is not None:
            flush(self._nearest_weights())

    def checkpointed(self) -> None:
        """Note that the newest checkpoint refers to the nearest weights, and to no others."""
        self._checkpointed = self.state.nearest
        self._remove_others()

    def _remove_others(self) -> None:
        """Remove weights that are neither the nearest nor of the newest checkpoint."""
        used = {best_weights(self.folder, n) for n in (self.state.nearest, self._checkpointed)}
        for path in self.folder.glob("best-*.weights"):
            if path not in used:
                path.unlink()

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state = CheckState(**state)
        self._checkpointed = self.state.nearest

    def _nearest_weights(self) -> Path:
        return best_weights(self.folder, self.state.nearest)

    def _measure_between(self) -> MeanScore:
        """The score of what the whole model has been set to."""
        reshard(self.inputs.task.model)
        return self._measure("interpolating to the target")

    def _measure(self, description: str | None = None) -> MeanScore:
        """The score now; without CER where the rule does not go by it, or is far from its target.

        To generate transcripts takes several times as long as the losses.
        """
        target = self.rule.target
        if self.inputs.task.generates and target.cer is not None:
            losses = group_score(self.inputs, self.utterances, description, transcripts=False)
            if losses.loss < NEAR * target.loss:
                return losses
        transcripts = target.cer is not None
        return group_score(self.inputs, self.utterances, description, transcripts=transcripts)

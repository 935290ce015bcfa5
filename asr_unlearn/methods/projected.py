"""Any method's steps, their forget part orthogonal to each retain utterance's gradient."""

from dataclasses import replace
from typing import Any

from asr_unlearn.gradients import Gradient, orthogonal_part
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.diagonal_metric import DiagonalMetric
from asr_unlearn.methods.direction import Direction
from asr_unlearn.runtime.distributed import gathered_tensor

# As few as of orthograd_tau, for the same metric.
FISHER_BATCHES = 4


class ProjectedStep:
    """The projection of OrthoGrad (arXiv 2503.02312) for what another method does to forget.

    Let v be what the method descends along because of forget utterances, whatever loss that is, and
    r the rest. The step descends along D⁻¹r + Δ, where Δ = D⁻¹(v − Gᵀc) satisfies gᵢᵀΔ = 0 for the
    gradient gᵢ of each utterance of a retain batch. Momentum, or a rescaling after the projection,
    would undo it: the optimizer must be plain SGD, and D rescales as Adam does. (arXiv 2511.17100
    projects the gradients of several methods for language models.)
    """

    def __init__(self) -> None:
        self.metric = DiagonalMetric(fisher_batches=FISHER_BATCHES)

    def prepare(self, context: TrainingContext) -> None:
        """Compute what D needs of the original model."""
        self.metric.prepare(context)

    def __call__(self, step: Step, direction: Direction) -> Direction:
        """The direction with its forget part projected."""
        metric = self.metric
        if direction.forget is None:
            scale = metric.at(direction.gradient)
            return replace(direction, gradient=_divided(direction.gradient, scale))
        found = orthogonal_part(
            step.model,
            step.context.task.losses,
            direction.forget,
            step.batch("retain"),
            metric=lambda forget: metric.at(_divided_by(forget, _weight(direction))),
            group=step.context.group,
        )
        metric.after_step(found.retain)
        rest = {name: g - direction.forget[name] for name, g in direction.gradient.items()}
        gradient = _divided(rest, metric.now())
        for name, orthogonal in found.orthogonal.items():
            gradient[name] += orthogonal
        return replace(
            direction, gradient=gradient, logged={**direction.logged, "kept": found.kept}
        )

    def state_dict(self) -> dict[str, Any]:
        """What the projection carries from step to step."""
        return self.metric.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.metric.load_state_dict(state)


def _weight(direction: Direction) -> float:
    """Σ|wᵢ| of the forget losses, so that D is that of a weighted mean; 1 where they are none."""
    if direction.ascent is None:
        return 1.0
    losses = direction.losses["forget"]
    weights = direction.ascent.scaled_weights(gathered_tensor(losses))
    return float(weights.abs().sum()) or 1.0


def _divided_by(gradient: Gradient, weight: float) -> Gradient:
    return {name: g / weight for name, g in gradient.items()}


def _divided(gradient: Gradient, metric: Gradient) -> Gradient:
    return {name: g / metric[name] for name, g in gradient.items()}

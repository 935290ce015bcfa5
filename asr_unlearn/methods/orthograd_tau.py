"""OrthoGrad with a target loss for each utterance, and no learning rate."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.data.batching import Batch
from asr_unlearn.data.split import Part
from asr_unlearn.gradients import Gradient, Rises, Weights, norm, streaming_step
from asr_unlearn.methods.context import Step, TrainingContext
from asr_unlearn.methods.direction import Direction
from asr_unlearn.methods.distillation import frozen_copy
from asr_unlearn.methods.option_types import Auto, Positive, PositiveInt, ShareBelowOne
from asr_unlearn.methods.preconditioned import Preconditioned
from asr_unlearn.methods.step_length import StepLengthLimit
from asr_unlearn.metrics.divergence import divergences
from asr_unlearn.models.tasks.task import Task

# Added to losses, so that one near 0 does not take all the weight.
SMALL = 1e-3


@dataclass(kw_only=True)
class OrthoGradTau(Preconditioned):
    """OrthoGrad combined with ∇τ and SFR-on.

    A step is the smallest one, in the metric D, that changes the losses as prescribed, to first
    order: Σ wᵢ ℓᵢ over the forget batch rises by ρ, and ℓᵢ + KLᵢ(original ‖ model) of each retain
    utterance returns to the original's ℓᵢ. Where it is not above, this is OrthoGrad's step (arXiv
    2503.02312): gᵢᵀΔ = 0, with a length for which uᵀΔ = ρ.

    ρ takes the forget losses to their targets within `epochs` (see `step_length`), so there is no
    learning rate. The forget gradient u ascends Σ −½·ReLU(τᵢ^(1−λ) − ℓᵢ^(1−λ))² with λ = `power`:
    ∇τ's loss (arXiv 2403.14339) for each utterance by itself, on a scale of losses where its
    gradient has SFR-on's weight ℓᵢ^(−λ) (arXiv 2409.19732). The weights are normalised over the
    batch. A weight of ReLU(1 − ℓᵢ/τᵢ) would raise all losses at once: too many utterances get one
    wrong word, and where a few unseen utterances are hard, the mean never reaches the target.

    With one τ for all, the forget losses would crowd below it, unlike those of unseen speakers, and
    a membership inference attack could use that. τᵢ is therefore the loss of the unseen utterance
    of the same rank, with both parts sorted by the original model's loss: of all ways to give the
    forget set the distribution of unseen losses, this one changes single losses least.

    A step much longer than usual is shortened to the usual length: where D is near 0, one badly
    recognised retain utterance can give an unbounded correction.

    Attributes:
        target: τᵢ, as a multiple of the expected loss of an unseen utterance of the same rank.
        power: λ; the larger, the less an utterance with a high loss counts.
    """

    name: ClassVar[str] = "orthograd_tau"
    paper: ClassVar[str] = "arXiv 2503.02312 + 2403.14339 + 2409.19732"
    needs: ClassVar[tuple[Part, ...]] = ("forget", "retain", "unseen")

    lr: Auto = "auto"
    epochs: Positive = 4.0
    retain_batch: PositiveInt = 16
    fisher_batches: PositiveInt = 4
    target: Positive = 1.0
    power: ShareBelowOne = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._usual = StepLengthLimit()

    @classmethod
    def search_space(cls) -> dict[str, tuple[float, float]]:
        return {**super().search_space(), "target": (0.7, 1.5), "power": (0.0, 0.9)}

    def prepare(self, context: TrainingContext) -> None:
        super().prepare(context)
        self._original = frozen_copy(context.task)

    def forget_targets(self, context: TrainingContext) -> dict[str, float]:
        expected = super().forget_targets(context)
        return {name: self.target * loss for name, loss in expected.items()}

    def direction(self, step: Step) -> Direction:
        weights, kept = self._forget_weights(step), _RetainLoss(step.context.task, self._original)
        found = streaming_step(
            step.model,
            step.context.task.losses,
            step.batch("forget"),
            step.batch("retain"),
            forget_weights=weights,
            metric=self._metric.of_this_step(),
            rises=Rises(
                forget=lambda losses: step.wanted_rise(losses, weights),
                retain=lambda now: (now.new_tensor([*kept.original.values()]) - now).clamp(max=0),
            ),
            retain_losses=kept,
            group=step.context.group,
        )
        self._metric.after_step(found.retain)
        gradient = self._limited({name: -d for name, d in found.orthogonal.items()})
        losses: dict[Part, Tensor] = {
            "forget": found.forget_losses,
            "retain": found.retain_losses.new_tensor([*kept.losses.values()]),
        }
        return Direction(gradient, losses, {"lr": found.length})

    def _limited(self, gradient: Gradient) -> Gradient:
        """The gradient, shortened to the median length of the last ones if it is a leap."""
        share = self._usual.share(norm(gradient))
        return {name: g * share for name, g in gradient.items()} if share < 1 else gradient

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "lengths": self._usual.lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._usual.lengths = state["lengths"]

    def _forget_weights(self, step: Step) -> Weights:
        ids = step.ids("forget")

        def weights(losses: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
            targets = SMALL + losses.new_tensor([step.length.targets[name] for name in ids])
            losses = SMALL + losses.clamp(min=0)
            gap = targets ** (1 - self.power) - losses ** (1 - self.power)
            found = gap.clamp(min=0) * losses**-self.power
            # The sum is 0 when all losses are at their targets.
            return found / found.sum().clamp(min=1e-12)

        return weights


class _RetainLoss:
    """ℓᵢ + KLᵢ(original ‖ model) of retain utterances, which is ℓᵢ where nothing has changed.

    The loss alone leaves a step free to change what the transcript does not show: how sure the
    model is of all else, and with it how well it recognises unseen speakers.

    Attributes:
        original: the original model's loss of each utterance so far, by id.
        losses: the model's.
    """

    def __init__(self, task: Task, original: Task) -> None:
        self._task, self._teacher = task, original
        self.original: dict[str, float] = {}
        self.losses: dict[str, float] = {}

    def __call__(self, batch: Batch) -> Float[Tensor, " B"]:
        with torch.no_grad():
            logits = self._teacher.logits(batch)
            original = self._teacher.losses_from_logits(logits, batch)
            before, true = self._teacher.distributions_from_logits(logits, batch)
        logits = self._task.logits(batch)
        losses = self._task.losses_from_logits(logits, batch)
        now, _ = self._task.distributions_from_logits(logits, batch)
        self.original.update(zip(batch.ids, original.tolist(), strict=True))
        self.losses.update(zip(batch.ids, losses.tolist(), strict=True))
        return losses + divergences(before, now, true)

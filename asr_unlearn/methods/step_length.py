"""Step lengths from the rise that they are predicted to give, in place of a learning rate.

The gradient u of the weighted forget loss Σ wᵢ ℓᵢ is known in every step. A change δ of the weights
raises that loss by u·δ, to first order. So the length of the optimizer's change can be chosen for
the rise that is wanted: from the utterances' losses to the points of their way to their targets
where they ought to be after this visit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients import Gradient

# Losses move evenly on the scale ℓ^POWER. On that of ℓ itself the last steps would be the longest:
# the loss of an utterance grows faster and faster once the model is no longer sure of it.
POWER = 0.5
# Of an epoch's visits to an utterance, the last ones are kept for what the first did not reach.
RESERVE = 0.25
# A step is shortened where the last one raised the losses by more than so many times what was
# predicted.
SURPRISE = 2.0
# Added to losses, so that one near 0 does not stay there.
SMALL = 1e-3


def of_the_same_rank(losses: Mapping[str, float], unseen: Sequence[float]) -> dict[str, float]:
    """For each loss the unseen loss at the same quantile, linearly interpolated, at least 1e-6."""
    ranked = sorted(losses, key=lambda name: (losses[name], name))
    quantiles = np.quantile(unseen, (np.arange(len(ranked)) + 0.5) / len(ranked))
    return {name: max(float(q), 1e-6) for name, q in zip(ranked, quantiles, strict=True)}


@dataclass
class StepLength:
    """Chooses the length of each step so that the forget losses arrive at their targets in time.

    Attributes:
        targets: the loss that each forget utterance is to have, by id.
        epochs: passes over the forget set after which a run ends at the latest.
        visits: how often each utterance was in a step.
        expected: the loss that each utterance was to have after its last visit, and had before it.
        shortened: factor on all steps, below 1 once steps raised the losses more than predicted.
    """

    targets: Mapping[str, float]
    epochs: float
    visits: Counter[str] = field(default_factory=Counter)
    expected: dict[str, tuple[float, float]] = field(default_factory=dict)
    shortened: float = 1.0

    def wanted(
        self,
        ids: Sequence[str],
        losses: Float[Tensor, " F"],
        weights: Float[Tensor, " F"],
    ) -> float:
        """The rise of Σ wᵢ ℓᵢ that this step is to give; counts a visit to each utterance."""
        self._compare(ids, losses)
        now = SMALL + losses.double().clamp(min=0)
        targets = SMALL + now.new_tensor([self.targets[i] for i in ids])
        arrival = (1 - RESERVE) * self.epochs
        left = now.new_tensor([max(arrival - self.visits[i], 1.5) for i in ids])
        way = (targets**POWER - now**POWER).clamp(min=0)
        aims = (now**POWER + way / left) ** (1 / POWER)
        self.visits.update(ids)
        for name, before, after in zip(ids, now.tolist(), aims.tolist(), strict=True):
            self.expected[name] = (before, after)
        return self.shortened * float((weights.double() * (aims - now)).sum())

    def _compare(self, ids: Sequence[str], losses: Float[Tensor, " F"]) -> None:
        """Shorten all steps if the losses rose by more than twice what was expected of them."""
        seen = [
            (now, *self.expected[i])
            for i, now in zip(ids, losses.tolist(), strict=True)
            if i in self.expected
        ]
        rise = sum(SMALL + now - before for now, before, _ in seen)
        expected = sum(after - before for _, before, after in seen)
        if expected > 0 and rise > SURPRISE * expected:
            self.shortened = max(self.shortened * SURPRISE * expected / rise, 0.1)

    def state_dict(self) -> dict[str, Any]:
        return {
            "visits": dict(self.visits),
            "expected": dict(self.expected),
            "shortened": self.shortened,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.visits = Counter(state["visits"])
        self.expected = {name: tuple(pair) for name, pair in state["expected"].items()}
        self.shortened = state["shortened"]


def scaled_to(
    wanted: float,
    parameters: Mapping[str, Tensor],
    before: Gradient,
    descent: Gradient,
) -> float:
    """Scale the change since `before` so that the forget loss rises by `wanted`, to first order.

    Args:
        wanted: the rise.
        parameters: after the optimizer's step, by name; they are changed in place.
        before: their values before it.
        descent: −u by name, u the gradient of the weighted forget loss.

    Returns:
        The factor: 0, so that nothing changes, where the change would not raise the loss.
    """
    predicted = -sum(
        float(((p.detach() - before[name]) * descent[name]).sum(dtype=torch.float64))
        for name, p in parameters.items()
    )
    factor = wanted / predicted if predicted > 0 and wanted > 0 else 0.0
    with torch.no_grad():
        for name, p in parameters.items():
            p.sub_(before[name]).mul_(factor).add_(before[name])
    return factor

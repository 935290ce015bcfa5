"""Steps that raise the forget losses by what is wanted, in place of a learning rate.

The gradient u of the weighted forget loss Σ wᵢ ℓᵢ is known in every step. A change δ of the weights
raises that loss by u·δ, to first order. So the length of a step can be chosen for the rise that is
wanted: from the utterances' losses to where they ought to be one epoch later, on their way from the
original's losses to their targets.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from asr_unlearn.gradients import Gradient

# Losses move evenly on the scale ℓ^POWER. On that of ℓ itself the last steps would be the longest:
# the loss of an utterance grows faster and faster once the model is no longer sure of it.
POWER = 0.5
# The share of the epochs that is kept for what did not arrive at its target in time.
RESERVE = 0.25
# A step is shortened where the forget losses rose by more than so many times what was planned.
SURPRISE = 2.0
# A step is shortened if it is LIMIT times as long as the median of the last USUAL steps, of which
# there must be FEWEST. Of 284 steps of orthograd_tau on AN4 and Speech Commands, one was 43 times
# as long as that median, and no other more than 5.4 times.
LIMIT, USUAL, FEWEST = 6.0, 32, 4
# Added to losses, so that one near 0 does not stay there.
SMALL = 1e-3
# The least loss that has a logit.
TINY = 1e-6


def of_the_same_rank(losses: Mapping[str, float], unseen: Sequence[float]) -> dict[str, float]:
    """For each loss the mean unseen loss over the same quantiles, at least 1e-6.

    The k-th of n losses has the quantiles from (k − 1)/n to k/n, so that all together have the mean
    of the unseen losses, however few they are.
    """
    ranked = sorted(losses, key=lambda name: (losses[name], name))
    sums = np.concatenate([[0.0], np.cumsum(np.sort(unseen))]) / len(unseen)
    ends, known = (np.linspace(0, 1, count + 1) for count in (len(ranked), len(unseen)))
    means = np.diff(np.interp(ends, known, sums)) * len(ranked)
    return {name: max(float(mean), 1e-6) for name, mean in zip(ranked, means, strict=True)}


def first_order(losses: Float[Tensor, " F"], aims: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
    """The first-order rises of these losses for which they reach their aims; 0 above these.

    A loss near 0 rises exponentially with the length of a step. That of one decision,
    ℓ = −log(1 − q), is log(e^ℓ − 1) away from 0 in its logit, which a step changes evenly, and
    1 − e^−ℓ is its derivative by it. A rise of `aims` − `losses` to first order would be far too
    long a step: the model would change beyond where first order holds.
    """
    now, then = losses.clamp(min=TINY), aims.clamp(min=TINY)
    way = then.expm1().log() - now.expm1().log()
    return -(-now).expm1() * way.clamp(min=0)


@dataclass(frozen=True)
class StepLength:
    """Chooses the rise of the forget losses so that they arrive at their targets in time.

    A plan for each utterance, and not a share of what is left of its way: a step for some of the
    forget utterances raises the losses of the others too, the more the more alike they are.

    Attributes:
        original: the original model's loss of each forget utterance, by id.
        targets: the loss that each is to have.
        epochs: passes over the forget set after which a run ends at the latest.
    """

    original: Mapping[str, float]
    targets: Mapping[str, float]
    epochs: float

    def planned(self, ids: Sequence[str], epoch: float) -> Float[Tensor, " F"]:
        """The losses that these utterances are to have after so many epochs."""
        start, end = (
            (SMALL + torch.tensor([values[i] for i in ids], dtype=torch.float64)) ** POWER
            for values in (self.original, self.targets)
        )
        done = min(epoch / ((1 - RESERVE) * self.epochs), 1.0)
        return (start + done * (end - start).clamp(min=0)) ** (1 / POWER) - SMALL

    def rise(
        self,
        ids: Sequence[str],
        losses: Float[Tensor, " F"],
        weights: Float[Tensor, " F"],
        epoch: float,
    ) -> float:
        """The rise of Σ wᵢ ℓᵢ that a step is to give, 0 or more.

        Args:
            ids: of the step's forget utterances.
            losses: theirs, before the step.
            weights: w, 0 or more.
            epoch: passes over the forget set before the step. Each utterance has its next step one
                epoch later.
        """
        now = losses.double().cpu()
        start = self.planned(ids, 0.0)
        wanted = first_order(now, self.planned(ids, epoch + 1))
        risen, planned = (now - start).sum(), (self.planned(ids, epoch) - start).sum()
        if risen > SURPRISE * planned > 0:
            wanted = wanted * (SURPRISE * planned / risen)
        return float((weights.double().cpu() * wanted).sum())


class StepLengthLimit:
    """The length of a run's last steps. One much longer is shortened to their median.

    A step that hardly raises the forget losses, as one that descends on retain above all, would
    have to be very long for the rise that is wanted.

    Attributes:
        lengths: of the last steps, those that changed nothing left out.
    """

    def __init__(self) -> None:
        self.lengths: list[float] = []

    def share(self, length: float) -> float:
        """The share of a step of this length that is to be taken; it is one of the last then."""
        usual = median(self.lengths) if len(self.lengths) >= FEWEST else math.inf
        share = usual / length if length > LIMIT * usual else 1.0
        if length > 0:
            self.lengths = [*self.lengths, share * length][-USUAL:]
        return share


def scaled_to(
    wanted: float,
    parameters: Mapping[str, Tensor],
    before: Gradient,
    descent: Gradient,
    usual: StepLengthLimit,
    summed: Callable[[Tensor], Tensor] = lambda value: value,
) -> float:
    """Scale the change since `before` so that the forget loss rises by `wanted`, to first order.

    Args:
        wanted: the rise.
        parameters: after the optimizer's step, by name; they are changed in place.
        before: their values before it.
        descent: −u by name, u the gradient of the weighted forget loss.
        usual: length of the steps before; a much longer one is shortened.
        summed: makes a sum over all weights of one over these, which may be parts.

    Returns:
        The factor: 0, so that nothing changes, where the change would not raise the loss.
    """
    sums = []
    for name, p in parameters.items():
        change = p.detach() - before[name]
        products = (change * descent[name], change.square())
        sums.append(torch.stack([each.sum(dtype=torch.float64) for each in products]))
    falls, squares = summed(torch.stack(sums).sum(0)).tolist()
    factor = wanted / -falls if falls < 0 and wanted > 0 else 0.0
    factor *= usual.share(factor * math.sqrt(squares))
    with torch.no_grad():
        for name, p in parameters.items():
            p.sub_(before[name]).mul_(factor).add_(before[name])
    return factor

"""The confidence of a model in its predictions."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor


class Certainty(NamedTuple):
    """Means over the frames or tokens of each utterance.

    Attributes:
        confidence: probability of the likeliest output.
        entropy: of the outputs, in nats.
    """

    confidence: Float[Tensor, " B"]
    entropy: Float[Tensor, " B"]


class ScoredBatch(NamedTuple):
    """A model's losses on a batch, its transcripts or classes, and their certainty."""

    losses: Float[Tensor, " B"]
    texts: list[str]
    certainty: Certainty


def certainty(log_probabilities: Float[Tensor, "B T V"], true: Bool[Tensor, "B T"]) -> Certainty:
    """Confidence and entropy from log-probabilities, without padding.

    Args:
        log_probabilities: of V outputs in T frames or tokens.
        true: which of these are not padding.
    """
    highest = log_probabilities.amax(-1).exp()
    # An impossible output has the log-probability −∞ and adds nothing.
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities.clamp(min=-1e4)).sum(-1)
    count = true.sum(1)
    return Certainty((highest * true).sum(1) / count, (entropy * true).sum(1) / count)

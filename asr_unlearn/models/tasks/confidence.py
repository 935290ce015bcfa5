"""How sure a model is of what it says."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor


class Certainty(NamedTuple):
    """Of each utterance, means over its own frames or tokens: the probability of the likeliest
    answer, and the entropy in nats."""

    confidence: Float[Tensor, " B"]
    entropy: Float[Tensor, " B"]


class ScoredBatch(NamedTuple):
    """What a model makes of a batch: losses, transcripts or classes, and how sure it is."""

    losses: Float[Tensor, " B"]
    texts: list[str]
    certainty: Certainty


def certainty(log_probabilities: Float[Tensor, "B T V"], true: Bool[Tensor, "B T"]) -> Certainty:
    """From log-probabilities, and which frames or tokens are an utterance's own."""
    highest = log_probabilities.amax(-1).exp()
    # An impossible answer has the log-probability −∞ and adds nothing.
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities.clamp(min=-1e4)).sum(-1)
    count = true.sum(1)
    return Certainty((highest * true).sum(1) / count, (entropy * true).sum(1) / count)

"""LiRA, the likelihood ratio attack (Carlini et al., S&P 2022)."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm

from asr_unlearn.runtime.errors import InputError

# With fewer models the spread is not estimated by utterance: all share one.
MODELS_FOR_OWN_SPREAD = 64
FLOOR = 1e-12


def logit_scaled(losses: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return log(p / (1 − p)) of p = exp(−loss); over models it is close to normal, p is not."""
    losses = np.maximum(losses, FLOOR)
    scaled: Float[np.ndarray, "*shape"] = -losses - np.log(-np.expm1(-losses))
    return scaled


def likelihood_ratios(
    losses: Float[np.ndarray, " x"],
    shadow_losses: Float[np.ndarray, "s x"],
    member: Bool[np.ndarray, "s x"],
) -> Float[np.ndarray, " x"]:
    """Return log N(φ; in) − log N(φ; out) of each utterance: the online attack.

    φ is the logit-scaled loss by the attacked model; "in" and "out" are normal distributions fitted
    to the utterance's φ by the shadow models that were and were not trained on it.

    Deviation: the mean and the unbiased variance (divided by n − 1), where the authors' code takes
    the median and divides by n; below 64 models one variance is shared by all utterances.

    Raises:
        InputError: no shadow model, or every one, was trained on an utterance.
    """
    if not (member.any(axis=0) & ~member.all(axis=0)).all():
        raise InputError("every utterance must be in some shadow models and not in others")
    statistic, shadows = logit_scaled(losses), logit_scaled(shadow_losses)
    inside, outside = (_likelihood(statistic, shadows, mask) for mask in (member, ~member))
    ratios: Float[np.ndarray, " x"] = inside - outside
    return ratios


def _likelihood(
    statistic: Float[np.ndarray, " x"],
    shadows: Float[np.ndarray, "s x"],
    chosen: Bool[np.ndarray, "s x"],
) -> Float[np.ndarray, " x"]:
    """log N(φ) with mean and variance over the chosen models of each utterance."""
    mean, variance = moments(shadows, chosen)
    likelihood: Float[np.ndarray, " x"] = norm.logpdf(statistic, mean, np.sqrt(variance) + 1e-9)
    return likelihood


def moments(
    shadows: Float[np.ndarray, "s x"], chosen: Bool[np.ndarray, "s x"]
) -> tuple[Float[np.ndarray, " x"], Float[np.ndarray, " x"]]:
    """Return mean and variance of each utterance's statistic over the models chosen for it.

    With fewer than 64 models all utterances share one variance.
    """
    counts = chosen.sum(axis=0)
    mean = (shadows * chosen).sum(axis=0) / counts
    squares = ((shadows - mean) ** 2 * chosen).sum(axis=0)
    if len(shadows) >= MODELS_FOR_OWN_SPREAD:
        return mean, squares / np.maximum(counts - 1, 1)
    # Pooled over utterances, less a degree of freedom for each mean.
    freedom = (counts - 1).sum()
    return mean, np.full_like(mean, squares.sum() / freedom if freedom else 1.0)

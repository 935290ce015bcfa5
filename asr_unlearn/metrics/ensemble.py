"""How far many models that unlearned an utterance are from many trained without it.

Both functions take a statistic of each utterance by each model, such as the logit-scaled loss, and
which models count for it.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from asr_unlearn.metrics.mia.lira import moments

# Width and largest number of the bins of ε in the NeurIPS 2023 challenge.
BIN_WIDTH, BINS = 0.5, 13
# Utterances to find out on what models that do not differ have.
SIMULATED = 2000


def klom(
    unlearned: Float[np.ndarray, "s x"],
    forgot: Bool[np.ndarray, "s x"],
    retrained: Float[np.ndarray, "t x"],
    without: Bool[np.ndarray, "t x"],
) -> Float[np.ndarray, " x"]:
    """Return KL(retrained ‖ unlearned) of each utterance's statistic over models, in nats.

    KLoM (Georgiev et al., ICLR 2025, appendix E.1). Deviation: the two distributions are taken for
    normal, as in LiRA, where the paper has hundreds of models and takes histograms of 20 bins.

    Args:
        unlearned: by the unlearned models.
        forgot: which of them have unlearned the utterance.
        retrained: by models that were trained without some utterances.
        without: which of them were trained without this one.
    """
    mean, variance = moments(retrained, without)
    theirs, spread = moments(unlearned, forgot)
    spread = np.maximum(spread, np.finfo(float).tiny)
    ratio = np.maximum(variance, np.finfo(float).tiny) / spread
    each: Float[np.ndarray, " x"] = (ratio + (mean - theirs) ** 2 / spread - 1 - np.log(ratio)) / 2
    return each


def forgetting_quality(
    unlearned: Float[np.ndarray, "s x"],
    forgot: Bool[np.ndarray, "s x"],
    retrained: Float[np.ndarray, "t x"],
    without: Bool[np.ndarray, "t x"],
) -> float:
    """Return the forgetting quality of the NeurIPS 2023 challenge, from 1 down to 2⁻¹².

    ε of an utterance is that of the best threshold on its statistic: the largest
    log((1 − a) / b) of the false positive and false negative rates a and b, either way round; no
    end where a threshold separates the models, and 0 where each leaves one of the rates at 0. An ε
    in the n-th bin counts 2 / 2ⁿ; the quality is the mean over utterances (Triantafillou et al.,
    arXiv 2406.09073). Models that do not differ have far less than 1, as the best threshold on a
    sample is better than chance; see `identical`.
    """
    names = range(unlearned.shape[1])
    epsilons = [_epsilon(unlearned[forgot[:, x], x], retrained[without[:, x], x]) for x in names]
    bins = np.minimum(np.floor(np.array(epsilons) / BIN_WIDTH) + 1, BINS)
    return float(np.mean(2 / 2**bins))


def identical(
    forgot: Bool[np.ndarray, "s x"], without: Bool[np.ndarray, "t x"]
) -> tuple[float, float]:
    """Return mean KLoM and forgetting quality of as many models that do not differ, by simulation.

    Both are what to compare an unlearned model's with: few models give neither 0 nor 1. The losses
    of one model are drawn independently. Where they rise and fall together, equal models have a
    larger KLoM than this.
    """
    repeats = math.ceil(SIMULATED / forgot.shape[1])
    masks = [np.tile(mask, (1, repeats)) for mask in (forgot, without)]
    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(size=mask.shape) for mask in masks)
    pair = (ours, masks[0], theirs, masks[1])
    return float(klom(*pair).mean()), forgetting_quality(*pair)


def _epsilon(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " m"]) -> float:
    """ε of the best threshold between two samples, whichever is higher."""
    thresholds = np.unique(np.concatenate([one, other]))[:, None]
    found = 0.0
    for low, high in ((one, other), (other, one)):
        false_positives, false_negatives = (low >= thresholds).mean(1), (high < thresholds).mean(1)
        if ((false_positives == 0) & (false_negatives == 0)).any():
            return np.inf
        both = (false_positives > 0) & (false_negatives > 0)
        a, b = false_positives[both], false_negatives[both]
        with np.errstate(divide="ignore"):
            each = np.maximum(np.log((1 - a) / b), np.log((1 - b) / a))
        found = max(found, *each) if len(each) else found
    return float(found)

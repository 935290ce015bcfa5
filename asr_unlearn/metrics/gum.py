"""GUM: one number for how well, how harmlessly and how quickly a model was unlearned."""

from math import log1p
from statistics import harmonic_mean


def gum(
    *,
    right: float,
    right_retrained: float,
    auc: float,
    auc_original: float,
    auc_retrained: float,
    seconds: float,
    seconds_retrained: float,
) -> float | None:
    """The Global Unlearning Metric (UnSLU-BENCH; Koudounas et al., arXiv 2505.15700).

    It is the harmonic mean of utility U, efficacy E and efficiency T, each within 0 and 1: U is the
    share right on test speakers over the retrained model's; E = 1 − |a − a_r| / |a_o − a_r| with
    the AUC a of a membership inference attack on the model, on the retrained and on the original;
    T = 1 − log(1 + t) / log(1 + t_r) with the seconds t. So T depends on the unit of time, and a
    model twice as fast does not have twice the T.

    Deviation: what is right is 1 − WER for a recogniser, the accuracy for a classifier; the paper
    has the F1 of intents.

    Returns:
        The metric; None where the original and the retrained model cannot be compared by it: they
        have the same AUC, or the retrained model took no time or has nothing right.
    """
    known = abs(auc_original - auc_retrained)
    if not (known and seconds_retrained and right_retrained > 0):
        return None
    parts = [
        right / right_retrained,
        1 - abs(auc - auc_retrained) / known,
        1 - log1p(seconds) / log1p(seconds_retrained),
    ]
    return float(harmonic_mean([min(1.0, max(0.0, part)) for part in parts]))

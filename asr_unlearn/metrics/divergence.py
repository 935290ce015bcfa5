"""How far two models' losses lie apart."""

from collections.abc import Sequence

from scipy.stats import wasserstein_distance


def earth_mover(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Earth mover's distance between two distributions of per-utterance losses, in nats."""
    return float(wasserstein_distance(losses, reference))

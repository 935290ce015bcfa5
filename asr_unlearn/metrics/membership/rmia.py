"""Attack (d), second form: RMIA, the relative membership attack (Zarifzadeh et al., ICML 2024)."""

import numpy as np
from jaxtyping import Bool, Float

# An utterance counts as more likely than another when its ratio is at least this many times as
# large (the paper's γ). Losses here are means over labels, whose ratios are close to 1.
GAMMA = 1.0


def relative_ratios(
    losses: Float[np.ndarray, " x"],
    shadow_losses: Float[np.ndarray, "s x"],
    population: Float[np.ndarray, " z"],
    shadow_population: Float[np.ndarray, "s z"],
    comparable: Bool[np.ndarray, "x z"],
) -> Float[np.ndarray, " x"]:
    """The share of a population that an utterance beats in p(·|model) / p(·).

    p(·|model) is exp(−loss), and p(·) its mean over the shadow models, half of which were trained
    on the utterance. `comparable` leaves out of the population what is the utterance itself, or
    its speaker's.

    Raises:
        ValueError: an utterance has nothing to be compared with.
    """
    if not comparable.any(axis=1).all():
        raise ValueError("every utterance must have others to be compared with")
    own, others = (
        np.exp(-target) / np.exp(-shadows).mean(axis=0)
        for target, shadows in ((losses, shadow_losses), (population, shadow_population))
    )
    beaten = (own[:, None] >= GAMMA * others[None]) & comparable
    share: Float[np.ndarray, " x"] = beaten.sum(axis=1) / comparable.sum(axis=1)
    return share

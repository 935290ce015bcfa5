"""RMIA, the relative membership inference attack (Zarifzadeh et al., ICML 2024)."""

import numpy as np
from jaxtyping import Bool, Float

from asr_unlearn.runtime.errors import InputError

# The paper's γ: an utterance beats another if its ratio is at least so many times as large. Losses
# here are means over labels, so ratios are close to 1.
GAMMA = 1.0


def relative_ratios(
    losses: Float[np.ndarray, " x"],
    shadow_losses: Float[np.ndarray, "s x"],
    comparable: Bool[np.ndarray, "x x"],
) -> Float[np.ndarray, " x"]:
    """Return the share of other utterances that an utterance beats in p(·|model) / p(·).

    p(·|model) is exp(−loss), and p(·) its mean over the shadow models, half of which were trained
    on the utterance (the online attack). The paper's population is the utterances themselves.

    Args:
        comparable: which utterances each is compared with: those of other speakers.

    Raises:
        InputError: an utterance has nothing to be compared with.
    """
    if not comparable.any(axis=1).all():
        raise InputError("every utterance must have others to be compared with")
    ratios = np.exp(-losses) / np.exp(-shadow_losses).mean(axis=0)
    beaten = (ratios[:, None] >= GAMMA * ratios[None]) & comparable
    share: Float[np.ndarray, " x"] = beaten.sum(axis=1) / comparable.sum(axis=1)
    return share

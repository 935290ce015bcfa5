"""Attack (d), second form: RMIA, the relative membership attack (Zarifzadeh et al., ICML 2024)."""

import numpy as np
from jaxtyping import Bool, Float

from asr_unlearn.runtime.errors import InputError

# An utterance counts as more likely than another when its ratio is at least this many times as
# large (the paper's γ). Losses here are means over labels, whose ratios are close to 1.
GAMMA = 1.0


def relative_ratios(
    losses: Float[np.ndarray, " x"],
    shadow_losses: Float[np.ndarray, "s x"],
    comparable: Bool[np.ndarray, "x x"],
) -> Float[np.ndarray, " x"]:
    """The share of the others that an utterance beats in p(·|model) / p(·).

    p(·|model) is exp(−loss), and p(·) its mean over the shadow models, half of which were trained
    on the utterance (the online attack). The paper's population are the utterances themselves,
    members or not; `comparable` says whom each is compared with, which leaves out its own speaker.

    Raises:
        ValueError: an utterance has nothing to be compared with.
    """
    if not comparable.any(axis=1).all():
        raise InputError("every utterance must have others to be compared with")
    ratios = np.exp(-losses) / np.exp(-shadow_losses).mean(axis=0)
    beaten = (ratios[:, None] >= GAMMA * ratios[None]) & comparable
    share: Float[np.ndarray, " x"] = beaten.sum(axis=1) / comparable.sum(axis=1)
    return share

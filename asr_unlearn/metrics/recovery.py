"""How much of what was forgotten is back in a changed model."""

from collections.abc import Sequence

from asr_unlearn.metrics.intervals import signed_ratio_interval

# Of the unlearned model's loss: a rise above the original's that is smaller is taken for none.
SMALLEST_RISE = 0.01


def brought_back(
    changed: Sequence[float],
    unlearned: Sequence[float],
    original: Sequence[float],
    speakers: Sequence[str],
) -> tuple[float, tuple[float, float] | None] | None:
    """Return the share of the rise in loss that a change takes back, and its 95% interval.

    (unlearned − changed) / (unlearned − original) of the mean losses: 0 for a change without
    effect, 1 where the loss is the original's again, below 0 where it is higher still. Zhang et al.
    (arXiv 2410.16454) report the share of knowledge that is back after quantisation.

    Args:
        changed, unlearned, original: losses of the forget utterances by the three models.
        speakers: of the utterances.

    Returns:
        None where a hundredth of the unlearned model's loss or less is a rise above the original's.
        The interval is None with fewer than three speakers, or where some speaker's loss has not
        risen.
    """
    back = [u - c for u, c in zip(unlearned, changed, strict=True)]
    risen = [u - o for u, o in zip(unlearned, original, strict=True)]
    if sum(risen) <= SMALLEST_RISE * sum(unlearned):
        return None
    by_speaker = dict.fromkeys(speakers, 0.0)
    for speaker, rise in zip(speakers, risen, strict=True):
        by_speaker[speaker] += rise
    every = min(by_speaker.values()) > 0
    interval = signed_ratio_interval(back, risen, speakers) if every else None
    return sum(back) / sum(risen), interval

"""Made-up observations for attacks: losses as given, doubt that goes with the loss."""

import numpy as np

from asr_unlearn.metrics.mia import Observation


def group(rng, losses, speakers=8, seconds=None, name="s", doubt=None):
    """Return observations with these losses; confidence says no more than the loss."""
    lengths = rng.uniform(1, 10, len(losses)) if seconds is None else seconds
    doubts = 1 - np.exp(-np.abs(losses)) if doubt is None else doubt
    return [
        Observation(
            id=f"{name}{i}",
            speaker=f"{name}{i % speakers}",
            loss=float(abs(loss)),
            seconds=float(length),
            labels=int(5 * length) + 1,
            confidence=float(1 - d),
            entropy=float(2 * d),
            error_rate=float(d > 0.5),
        )
        for i, (loss, length, d) in enumerate(zip(losses, lengths, doubts, strict=True))
    ]


def unseen(rng, losses, **options):
    return group(rng, losses, name="u", **options)

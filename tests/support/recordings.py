"""Short recordings of noise, each its own."""

import numpy as np
import soundfile

RATE = 16_000


def record(path, seconds=0.5, seed=0, rate=RATE):
    """Write noise that the seed tells apart; the suffix is the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(scale=0.1, size=round(seconds * rate))
    soundfile.write(path, noise, rate)
    return path


def samples(path):
    return soundfile.read(path)[0]

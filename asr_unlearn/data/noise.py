"""Noise that is the same for the same recording in every evaluation."""

import hashlib

import numpy as np
from jaxtyping import Float


def white_noise(seed: str, samples: int) -> Float[np.ndarray, " {samples}"]:
    """Return white noise of unit variance, drawn from a text."""
    numbers = list(hashlib.sha256(seed.encode()).digest())
    return np.random.default_rng(numbers).standard_normal(samples, dtype=np.float32)

"""Decode 16-bit samples without a header in the byte order that fits."""

import numpy as np
from jaxtyping import Float, Int16

# The least ratio of roughness between the wrong and the right order. Speech and quiet noise have
# 30 and more; only noise at full scale is near 1.
CLEARLY = 2.0


def decode_headerless(content: bytes) -> Float[np.ndarray, " samples"] | None:
    """Samples [samples] float32, full scale ±1, in the byte order in which they are smoother.

    In the wrong order the low bytes, which are nearly random, become the high ones: the signal
    turns into loud noise with large steps from sample to sample. AN4, for instance, is
    published in both orders, and the README of its big-endian archive says little-endian.

    Args:
        content: whole 16-bit samples.

    Returns:
        None where neither order is clearly the smoother one.
    """
    big = np.frombuffer(content, dtype=">i2").astype(np.int16)
    little = np.frombuffer(content, dtype="<i2").astype(np.int16)
    # Digital silence, for instance, is the same in both.
    if not np.array_equal(big, little):
        planes = np.frombuffer(content, dtype=np.uint8).reshape(-1, 2)
        rough_big, rough_little = _roughness(big), _roughness(little)
        rougher, smoother = max(rough_big, rough_little), min(rough_big, rough_little)
        # 8-bit samples stored in 16 bits are no rougher in the wrong order, only louder or softer.
        if (planes == planes[0]).all(axis=0).any() or rougher < CLEARLY * smoother:
            return None
        big = big if rough_big < rough_little else little
    return big.astype(np.float32) / 2**15


def _roughness(samples: Int16[np.ndarray, " samples"]) -> float:
    """The mean square of the steps from sample to sample."""
    steps = np.diff(samples.astype(np.float64))
    return float(np.mean(np.square(steps))) if len(steps) else 0.0

"""Seeded draws of speakers for the parts and of utterances to hold out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from asr_unlearn.data.forget_list import SplitError


def generator(seed: int, stream: int) -> np.random.Generator:
    """A random generator for one purpose (`stream`); raises SplitError for a negative seed."""
    if seed < 0:
        raise SplitError(f"--seed must be 0 or more, not {seed}")
    return np.random.default_rng([seed, stream])


def ids_by(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Utterance ids by speaker or label, in the order of these, in one pass."""
    found: dict[str, list[str]] = {}
    for name, identity in pairs:
        found.setdefault(name, []).append(identity)
    return dict(sorted(found.items()))


def draw_parts(
    speakers: Sequence[str], shares: Mapping[str, float], rng: np.random.Generator
) -> dict[str, str]:
    """Assign speakers to parts by their shares; the rest is left over. Of none, nobody is assigned.

    Raises:
        SplitError: there are too few speakers, or no share of unseen.
    """
    counts = [math.ceil(share * len(speakers)) for share in shares.values()]
    if shares.get("unseen") == 0:
        raise SplitError(
            "the share of unseen is 0, and the corpus has no development set: unlearning "
            "needs unseen speakers for its stop target; give --unseen a share"
        )
    if speakers and len(speakers) <= sum(counts):
        raise SplitError(
            f"{len(speakers)} speakers besides those to forget are too few for the parts retain, "
            f"{', '.join(f'{part} ({share:.0%})' for part, share in shares.items())}"
        )
    shuffled = [speakers[i] for i in rng.permutation(len(speakers))]
    ends = np.cumsum([0, *counts])
    return {
        speaker: part
        for part, (a, b) in zip(shares, pairwise(ends), strict=True)
        for speaker in shuffled[a:b]
    }


def hold_out(
    groups: Iterable[tuple[Sequence[str], float]], rng: np.random.Generator
) -> dict[str, list[str]]:
    """Hold out a share of each group's utterances, at least one but not all."""
    parts: dict[str, list[str]] = {"forget": [], "forget_heldout": []}
    for ids, share in groups:
        # At least one utterance of each group stays to be forgotten.
        count = min(max(1, round(share * len(ids))), len(ids) - 1) if share else 0
        away = {ids[i] for i in rng.choice(len(ids), size=count, replace=False)}
        parts["forget_heldout"] += [name for name in ids if name in away]
        parts["forget"] += [name for name in ids if name not in away]
    return parts

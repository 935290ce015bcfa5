"""Speaker verification by the cosine of two embeddings: equal error rate, and trials."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import roc_curve

from asr_unlearn.runtime.errors import InputError

# Drawn trials of each kind, and utterances of a speaker that they are drawn from.
TRIALS, UTTERANCES = 1000, 20


@dataclass(frozen=True)
class Trial:
    """Two utterance ids, and whether they are of the same speaker."""

    same: bool
    first: str
    second: str


@dataclass(frozen=True)
class Verification:
    """Equal error rate over trials, and the mean cosine of each kind of trial."""

    eer: float
    trials: int
    similarity_same: float
    similarity_different: float


def equal_error_rate(scores: Float[np.ndarray, " N"], same: Bool[np.ndarray, " N"]) -> float:
    """Return the rate at which misses and false alarms are equally frequent, as a fraction.

    The ROC curve is interpolated linearly between thresholds.

    Raises:
        InputError: all trials are of one kind.
    """
    if same.all() or not same.any():
        raise InputError("an equal error rate needs trials of one speaker and of two speakers")
    alarms, hits, _ = roc_curve(same, scores, drop_intermediate=False)
    gap = 1 - hits - alarms
    # It falls from 1, where nothing is accepted, to −1, where everything is.
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(alarms[after - 1] + share * (alarms[after] - alarms[after - 1]))


def verify(
    embeddings: Mapping[str, Float[np.ndarray, " C"]], trials: Sequence[Trial]
) -> Verification:
    """Return the equal error rate and mean cosines of the trials.

    Args:
        embeddings: utterance id to embedding.

    Raises:
        InputError: all trials are of one kind.
    """
    unit = {name: v / max(np.linalg.norm(v), 1e-12) for name, v in embeddings.items()}
    scores = np.array([float(unit[t.first] @ unit[t.second]) for t in trials])
    same = np.array([t.same for t in trials], dtype=bool)
    return Verification(
        eer=equal_error_rate(scores, same),
        trials=len(trials),
        similarity_same=float(scores[same].mean()),
        similarity_different=float(scores[~same].mean()),
    )


def draw_trials(
    speaker_of: Mapping[str, str],
    *,
    seed: int,
    about: Collection[str] | None = None,
    count: int = TRIALS,
) -> list[Trial]:
    """Draw as many trials of one speaker as of two, at most `count` of each, without repetition.

    Args:
        speaker_of: utterance id to speaker.
        about: speakers of whom every trial has at least one; None for all.

    Returns:
        The trials; empty where there is no pair of one kind.
    """
    rng = np.random.default_rng(seed)
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(speaker_of):
        ids[speaker_of[name]].append(name)
    chosen = [
        (speaker, own[i])
        for speaker, own in sorted(ids.items())
        for i in sorted(rng.permutation(len(own))[:UTTERANCES])
    ]
    wanted = np.array([about is None or speaker in about for speaker, _ in chosen], dtype=bool)
    _, number = np.unique([speaker for speaker, _ in chosen], return_inverse=True)
    first, second = np.triu_indices(len(chosen), k=1)
    among = wanted[first] | wanted[second]
    first, second = first[among], second[among]
    equal = number[first] == number[second]
    kinds = [np.flatnonzero(equal), np.flatnonzero(~equal)]
    size = min(count, *(len(kind) for kind in kinds))
    return [
        Trial(bool(equal[i]), chosen[first[i]][1], chosen[second[i]][1])
        for kind in kinds
        for i in np.sort(rng.choice(kind, size=size, replace=False))
    ]


def read_trials(path: Path) -> list[Trial]:
    """Read lines "1 ID ID" (one speaker) or "0 ID ID" (two speakers), the format of VoxCeleb.

    Raises:
        InputError: naming a line that is neither.
    """
    trials = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if fields := line.split():
            if len(fields) != 3 or fields[0] not in ("0", "1"):
                raise InputError(f"{path}, line {number}: expected '1 ID ID' or '0 ID ID'")
            trials.append(Trial(fields[0] == "1", fields[1], fields[2]))
    return trials

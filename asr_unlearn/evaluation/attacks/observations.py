"""What a membership inference attack observes of a model: loss, confidence, errors."""

import json
from collections.abc import Sequence

from asr_unlearn.evaluation.predictions import Row
from asr_unlearn.metrics.mia import Observation
from asr_unlearn.models.saved_model import SavedModel


def observations(rows: Sequence[Row], part: str, target: float = 1.0) -> list[Observation]:
    """Return the observations of a part's utterances.

    Args:
        target: the stop target of the model's unlearning, as a loss; see `target_loss`.
    """
    return [
        Observation(
            id=row["id"],
            speaker=row["speaker"],
            loss=row["loss"],
            seconds=row["seconds"],
            # A class has no length, but a name.
            labels=row.get("characters", 1),
            name=row["reference"] if "errors" in row else "",
            confidence=row["confidence"],
            entropy=row["entropy"],
            error_rate=_error_rate(row),
            target=target,
        )
        for row in rows
        if row["part"] == part
    ]


def _error_rate(row: Row) -> float:
    """The WER of an utterance; 0 or 1 for a classifier."""
    return float(row["errors"]) if "errors" in row else row["word_errors"] / row["words"]


def compared(
    rows: Sequence[Row], target: float, *, forgets_classes: bool
) -> tuple[list[Observation], list[Observation]]:
    """Return the two groups of a membership inference attack, members first.

    Members are the forget utterances, which the original was trained on. The others are utterances
    of unseen speakers; or, where a classifier forgets whole classes, held-out utterances of these
    classes by speakers that it was trained on.
    """
    members = observations(rows, "forget", target)
    if not forgets_classes:
        return members, observations(rows, "unseen", target)
    speakers = {o.speaker for o in members}
    heldout = observations(rows, "forget_heldout", target)
    return members, [o for o in heldout if o.speaker in speakers]


def target_loss(model: SavedModel) -> float:
    """Return the stop target of a model's unlearning from its metrics.jsonl; 1 without one."""
    path = model.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in reversed(lines):
        row = json.loads(line)
        if "target_loss" in row:
            return float(row["target_loss"])
    return 1.0

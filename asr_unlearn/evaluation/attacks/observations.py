"""What attackers see of a model: the rows of its evaluation."""

import json
from collections.abc import Sequence

from asr_unlearn.data.labels import disjoint
from asr_unlearn.evaluation.predictions import Row, classified
from asr_unlearn.metrics.mia import Observation
from asr_unlearn.models.saved_model import SavedModel


def observations(rows: Sequence[Row], part: str, target: float = 1.0) -> list[Observation]:
    """The utterances of a part, by a model whose unlearning was to end at the loss `target`."""
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
    """An answer's WER; 0 or 1 where it is right or wrong as a whole."""
    return float(row["errors"]) if "errors" in row else row["word_errors"] / row["words"]


def compared(rows: Sequence[Row], target: float) -> tuple[list[Observation], list[Observation]]:
    """The forget utterances that were trained on, and those to tell them from: strangers'.

    Where a classifier forgets whole classes, they are told from held-out utterances of these
    classes, by speakers who were trained on.
    """
    inside = observations(rows, "forget", target)
    classes = ({r["reference"] for r in rows if r["part"] == part} for part in ("forget", "retain"))
    if not (classified(rows) and disjoint(*classes)):
        return inside, observations(rows, "unseen", target)
    speakers = {o.speaker for o in inside}
    heldout = observations(rows, "forget_heldout", target)
    return inside, [o for o in heldout if o.speaker in speakers]


def target_loss(model: SavedModel) -> float:
    """The loss at which a model's unlearning was to end, from its metrics.jsonl; 1 without one."""
    path = model.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in reversed(lines):
        row = json.loads(line)
        if "target_loss" in row:
            return float(row["target_loss"])
    return 1.0

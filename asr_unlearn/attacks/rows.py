"""What attackers see of a model: the rows of its evaluation."""

import json
from collections.abc import Sequence

from asr_unlearn.metrics.membership import Observation
from asr_unlearn.saved import Row, SavedModel


def observations(rows: Sequence[Row], part: str, target: float = 1.0) -> list[Observation]:
    """The utterances of a part, by a model whose unlearning was to end at the loss `target`."""
    return [
        Observation(
            id=row["id"],
            speaker=row["speaker"],
            loss=row["loss"],
            seconds=row["seconds"],
            labels=row["characters"],
            confidence=row["confidence"],
            entropy=row["entropy"],
            error_rate=row["word_errors"] / row["words"],
            target=target,
        )
        for row in rows
        if row["part"] == part
    ]


def target_loss(model: SavedModel) -> float:
    """The loss at which a model's unlearning was to end, from its metrics.jsonl; 1 without one."""
    path = model.folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in reversed(lines):
        row = json.loads(line)
        if "target_loss" in row:
            return float(row["target_loss"])
    return 1.0

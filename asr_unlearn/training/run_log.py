"""metrics.jsonl of a run in progress: one row a step or stopping check."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.io import atomic_write, naming
from asr_unlearn.runtime.tracking import STEPS


@dataclass(frozen=True)
class RunLog:
    """`folder`/metrics.jsonl."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "metrics.jsonl"

    def log(self, **row: Any) -> None:
        """Append a row."""
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        STEPS.debug("step %(step)s", row)

    def drop_rows_after(self, step: int) -> None:
        """Drop the rows that an interrupted run wrote after its last checkpoint."""
        if not self.path.exists():
            return
        lines = self.path.read_text().splitlines()
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= step]
        with atomic_write(self.path) as partial:
            partial.write_text("".join(kept))

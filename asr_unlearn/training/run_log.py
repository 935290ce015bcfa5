"""run.json and metrics.jsonl of a run in progress."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asr_unlearn.runtime.io import atomic_write, naming, write_json
from asr_unlearn.runtime.provenance import command, versions


@dataclass(frozen=True)
class Run:
    """`folder`/run.json and `folder`/metrics.jsonl of a run in progress."""

    folder: Path

    def describe(self, **content: Any) -> None:
        """Write run.json: configuration and outcome, versions and command."""
        record = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command(),
            "versions": versions(),
            **content,
        }
        write_json(self.folder / "run.json", record)

    def log(self, **row: Any) -> None:
        """Append a row to metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        with naming(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def forget_rows_after(self, step: int) -> None:
        """Drop rows that a killed run wrote beyond its last checkpoint."""
        path = self.folder / "metrics.jsonl"
        if path.exists():
            rows = [
                json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")
            ]
            kept = [json.dumps(row) + "\n" for row in rows if row["step"] <= step]
            with atomic_write(path) as aside:
                aside.write_text("".join(kept))

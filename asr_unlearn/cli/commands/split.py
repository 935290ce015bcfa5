"""Divide a corpus for a deletion request: one of `forget`, `forget_labels` and `draw`."""

from typing import Any

from asr_unlearn.api.splitting import WrittenSplit, split
from asr_unlearn.cli.command import Command


def as_json(written: WrittenSplit) -> dict[str, Any]:
    """Who is forgotten, and how many utterances each part has."""
    made = written.split
    counts = {part: len(ids) for part, ids in made.parts.items()}
    names = ("forget_speakers", "forget_labels", "unseen_speakers", "forgotten_speakers")
    named = {name: getattr(made, name) for name in names}
    return {"path": written.path, **named, "utterances": counts}


COMMAND = Command(
    split,
    "asr-unlearn split --manifest out/manifest.jsonl --forget forget.txt --out out/split.json",
    json=as_json,
)

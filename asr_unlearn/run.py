"""A run's folder: what was asked for, with which versions, and how it went."""

import hashlib
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from asr_unlearn import __version__
from asr_unlearn.files import naming, write_aside, write_json

PACKAGES = ("torch", "transformers", "jiwer", "soundfile", "numpy")


def versions() -> dict[str, str]:
    """Versions of everything a figure depends on; the git revision where there is one."""
    found = {"asr_unlearn": __version__, "python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if git.returncode == 0:
        found["revision"] = git.stdout.strip()
    return found


_COMMANDS: ContextVar[tuple[str, ...]] = ContextVar("_COMMANDS", default=())


@contextmanager
def carrying_out(argv: Sequence[str]) -> Iterator[None]:
    """Within: `argv` is the command that is carried out, perhaps by a recipe that calls it."""
    token = _COMMANDS.set((*_COMMANDS.get(), shlex.join(argv)))
    try:
        yield
    finally:
        _COMMANDS.reset(token)


def command() -> str:
    """The command that is being carried out, ready to paste."""
    return (_COMMANDS.get() or (_process(),))[-1]


def invocation() -> str:
    """The command that a person typed: the recipe's, where a recipe calls one after another."""
    return (_COMMANDS.get() or (_process(),))[0]


def _process() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(content: Any) -> str:
    """SHA-256 of what can be written as JSON."""
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()


def reset_peak_memory(device: torch.device) -> None:
    """Start counting peak memory anew (a GPU's, or the process' resident set on Linux)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif (marks := Path("/proc/self/clear_refs")).exists():
        marks.write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """Peak bytes since `reset_peak_memory`; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


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
            with write_aside(path) as aside:
                aside.write_text("".join(kept))

"""Measures in new processes, and keeps figures in files."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]


def measure_apart(module: str, words: Sequence[str], description: str) -> Figures:
    """The figures that a module prints last, as JSON, in a new process.

    Args:
        module: run by `python -m`, with the words.
        description: of what is measured, for the message.

    Raises:
        RuntimeError: it failed; with the end of its messages.
    """
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{description}: {done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def write_figures(path: Path, figures: object) -> None:
    """Write figures as JSON, beside the file first."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(figures, indent=1) + "\n")
    temporary.replace(path)

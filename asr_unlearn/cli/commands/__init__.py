"""The subcommands of `asr-unlearn`, a module each, whose docstring is the summary in the help.

They are imported when they are called: the help, and a split, should not wait for torch.
"""

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path

from asr_unlearn.cli.command import Command

# In the order in which they are used.
NAMES = ("split", "train", "unlearn", "tune", "evaluate", "report", "verify", "purge", "methods")


def load(name: str) -> Command:
    """The subcommand of that name."""
    found: Command = importlib.import_module(f"{__name__}.{name}").COMMAND
    return found


def named_by(words: Sequence[str]) -> Command | None:
    """The subcommand that is called with these arguments; None for the help of all."""
    return load(words[0]) if words and words[0] in NAMES else None


def summary(name: str) -> str:
    """A sentence on the subcommand of that name, which is not imported."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""

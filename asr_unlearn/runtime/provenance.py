"""A run's folder: what was asked for, with which versions, and how it went."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from asr_unlearn.runtime.version import __version__

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
def recorded_command(argv: Sequence[str]) -> Iterator[None]:
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

"""The versions and the command of a run, for its records."""

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
    """Versions of the packages that results depend on, and the git revision if there is one."""
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
    """A context in which `argv` is the running command, possibly called by a recipe."""
    token = _COMMANDS.set((*_COMMANDS.get(), _published(argv)))
    try:
        yield
    finally:
        _COMMANDS.reset(token)


def command() -> str:
    """The running command, ready to paste in the current folder; see `_published`."""
    return (_COMMANDS.get() or (_process(),))[-1]


def invocation() -> str:
    """The command that was typed: a recipe's, where the recipe runs the command."""
    return (_COMMANDS.get() or (_process(),))[0]


def _process() -> str:
    return _published([Path(sys.argv[0]).name, *sys.argv[1:]])


def _published(argv: Sequence[str]) -> str:
    """The command without absolute paths, which show whose machine it ran on.

    Those in the current folder are relative to it; of others only the last part is left.
    """
    return shlex.join([without_folders(word) for word in argv])


def without_folders(word: str) -> str:
    """An argument without its absolute paths, relative to the current folder where they are in it.

    An argument may list paths with commas, and may name them: `planted_noise=/data/noise.json`.
    """
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{flag}{equals}{','.join(map(_without_folder, value.split(',')))}"


def _without_folder(item: str) -> str:
    name, equals, value = ("", "", item) if Path(item).is_absolute() else item.partition("=")
    path = Path(value)
    if not path.is_absolute():
        return item
    here = path.is_relative_to(Path.cwd())
    return f"{name}{equals}{path.relative_to(Path.cwd()) if here else path.name}"

"""Runs the command of a stage, unless its output is there as it was made."""

import hashlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from asr_unlearn.cli import main as command_line
from asr_unlearn.cli.plan import STAGES, RecipeStep
from asr_unlearn.models.saved_model import SavedModel
from asr_unlearn.runtime import program, signals
from asr_unlearn.runtime.cache import Cached, cached, changed_since
from asr_unlearn.runtime.documents import read_json
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest, digest_of, write_json
from asr_unlearn.runtime.version import __version__
from asr_unlearn.training.run_folder import remove_work

# The stages that publish a model.
TRAINING = (3, 4, 5)


def state_of(path: Path) -> str:
    """A digest of a file, of a model folder, or of a corpus by sizes and times."""
    if path.is_file():
        return digest(path)
    model = SavedModel(path.name, 0, path).files()
    if "config.json" in model:
        return digest_of(model)
    listing = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            status = file.stat()
            listing.update(f"{file.relative_to(path)}\0{status.st_size}\0".encode())
            listing.update(str(status.st_mtime_ns).encode())
    return listing.hexdigest()


def run_stage(command: RecipeStep, out: Path, *, debug: bool = False) -> None:
    """Run one command, unless its output is there as it was made, and from the same.

    Raises:
        SystemExit: the command failed; its message has been printed.
    """
    began = time.monotonic()
    if begin(command, out):
        run(command, debug=debug)
        end(command, out, time.monotonic() - began)


def title(command: RecipeStep) -> str:
    """What a command is called in messages."""
    return f"stage {command.stage} ({STAGES[command.stage - 1]}): {command.name}"


def begin(command: RecipeStep, out: Path) -> bool:
    """Announce a command; returns whether it is to be run."""
    if _entry(command, out).is_current:
        print(f"{title(command)} is complete, skipped", flush=True)
        return False
    for file in changed_since(command.leaves):
        print(f"{file} is not as stage {command.stage} made it: the stage runs again", flush=True)
    prefix = ["python", "-m"] if command.stage == 1 else ["asr-unlearn"]
    print(f"{title(command)}\n$ {shlex.join([*prefix, *command.argv])}", flush=True)
    if published_before_a_kill(command, out):
        remove_work(command.leaves)
        print(f"{title(command)} was complete, and is noted now", flush=True)
        _note_end(command, out)
        return False
    _note_begin(command, out)
    return True


def end(command: RecipeStep, out: Path, seconds: float) -> None:
    """Note that a command has run, so that it is skipped from now on."""
    _note_end(command, out)
    print(f"{title(command)} took {seconds:.0f} s", flush=True)


def published_before_a_kill(command: RecipeStep, out: Path) -> bool:
    """Whether a run of this very command was killed after it had published its model.

    A model is published as a whole, so that it must not be trained again.
    """
    path = _begun(command)
    if command.stage not in TRAINING or not path.is_file():
        return False
    published = _published(command)
    try:
        begun = read_json(path)
    except InputError:
        return False
    return begun.get("key") == _entry(command, out).key and published not in (
        None,
        begun.get("published"),
    )


def _note_begin(command: RecipeStep, out: Path) -> None:
    """Note that a model is being trained, and which one is published now."""
    if command.stage in TRAINING:
        content = {"key": _entry(command, out).key, "published": _published(command)}
        write_json(_begun(command), content)


def _note_end(command: RecipeStep, out: Path) -> None:
    # Preparing the data may have made what it reads: a download, a synthetic corpus.
    _entry(command, out).save(also=command.also())
    _begun(command).unlink(missing_ok=True)


def _published(command: RecipeStep) -> str | None:
    """A digest of the record of the published model, which has its time; None without one."""
    record = command.leaves / "run.json"
    return digest(record) if record.is_file() else None


def _begun(command: RecipeStep) -> Path:
    return command.leaves.with_name(f".{command.leaves.name}.begun")


def _entry(command: RecipeStep, out: Path) -> Cached:
    """The output of a command, and a key of its arguments and of what it reads now."""
    argv = [_within(out, word) for word in command.argv]
    reads = {_within(out, str(path)): state_of(path) for path in command.reads}
    return cached(command.leaves, [__version__, argv, reads])


def _within(out: Path, word: str) -> str:
    """A path in OUT relative to it, since OUT may be moved or be given in another way."""
    path = Path(word)
    return f"OUT/{path.relative_to(out)}" if path.is_relative_to(out) else word


def run(command: RecipeStep, *, debug: bool = False) -> None:
    """Run a command in this process, where torch is loaded once; data preparation in its own.

    It starts further processes, which would all load torch.
    """
    if command.stage > 1:
        command_line.main(command.argv)
        return
    shown = [program.DEBUG] if debug else []
    argv = [sys.executable, "-m", *command.argv, *shown]
    # It ends first where this program is asked to end, and with it where this one is killed.
    environment = {**os.environ, signals.PARENT: str(os.getpid())}
    with subprocess.Popen(argv, env=environment) as process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        sys.exit(status if status > 0 else 128 - status)

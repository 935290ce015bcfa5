"""A run works in OUT.partial, which is renamed to OUT when the model stands; never earlier."""

import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from transformers import PreTrainedModel

from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.loading import save_model
from asr_unlearn.models.tasks import Task
from asr_unlearn.models.tasks.from_scratch import remove_head
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import atomic_write, digest_of, naming, publish_folder
from asr_unlearn.training.checkpoint import FORMAT, checkpoints
from asr_unlearn.training.run_log import Run
from asr_unlearn.training.trainer import Outcome

LOCK, STAMP = "lock", "stamp"


def carry_out(
    kind: Literal["train", "unlearn"],
    run: Callable[[Path], Outcome],
    task: Task,
    data: Mapping[str, Any],
    out: Path,
    options: Mapping[str, Any],
    seed: int,
    **logged: Any,
) -> Outcome:
    """Run in a folder, or take up what was interrupted there, and publish the model at `out`.

    `data` is what an interrupted run must have begun with to be taken up; `logged` goes into
    run.json beside the options and the outcome.

    Raises:
        ValueError: another process is at work on the same.
    """
    stamp = digest_of([FORMAT, kind, seed, options, data, fingerprint(task.model)])
    work = out.with_name(f"{out.name}.partial")
    first = distributed.is_first()
    with _held(work) if first else nullcontext():
        if first:
            _clear_other_work(work, stamp)
        distributed.wait()
        outcome = run(work)
        if first:
            record = {"kind": kind, "seed": seed, "options": dict(options), **asdict(outcome)}
            _publish(task, work, out, processes=distributed.share().of, **record, **logged)
    distributed.wait()
    return outcome


def _held(work: Path) -> AbstractContextManager[object]:
    """Within: nobody else works in the folder, which is made."""
    work.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(work / LOCK, timeout=0).acquire()
    except Timeout:
        raise InputError(
            f"another process is at work in {work}; wait for it, or give another --out"
        ) from None


def _clear_other_work(work: Path, stamp: str) -> None:
    """Clear away what lies there if it was asked for differently, or for another model."""
    note = work / STAMP
    if note.exists() and note.read_text() != stamp:
        for path in work.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()
    with atomic_write(note) as aside:
        aside.write_text(stamp)


def _publish(task: Task, work: Path, out: Path, **record: Any) -> None:
    remove_head(task.model)
    with naming(work):
        save_model(task.model, task.processor, work)
    Run(work).describe(name=out.name, parameters=count_parameters(task.model), **record)
    # Renamed before it is cleared: until the model stands a kill must not cost the run.
    publish_folder(work, out)
    for path in [*checkpoints(out), out / "checkpoint.partial"]:
        shutil.rmtree(path, ignore_errors=True)
    for path in [*out.glob("best-*.safetensors"), out / STAMP, out / LOCK]:
        path.unlink(missing_ok=True)


def count_parameters(model: PreTrainedModel) -> int:
    return sum(p.numel() for p in model.parameters())

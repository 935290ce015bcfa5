"""The folder of a run: it works in OUT.partial, which becomes OUT once the model is complete."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from filelock import FileLock, Timeout
from transformers import PreTrainedModel

from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.loading import save_model
from asr_unlearn.models.tasks import Task
from asr_unlearn.models.tasks.from_scratch import remove_head
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.cache import cached
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import naming, publish_folder, write_json
from asr_unlearn.runtime.provenance import command, versions
from asr_unlearn.training.checkpoint import FORMAT, checkpoints
from asr_unlearn.training.outcome import Outcome


class RunFolder:
    """A folder to run in, locked while it is entered, whose result is published atomically.

    Entering resumes an interrupted run of the same key, and clears the work of any other. With
    several processes all enter, and the first one locks, clears and publishes.

        with RunFolder(out, task, kind="train", seed=0, options=options, data=data) as run:
            outcome = Training(..., run.path, ...)()
            run.publish(outcome)

    Args:
        out: folder of the finished model.
        task: the model as it is before the run.
        kind, seed, options: what is run, recorded in run.json.
        data: the utterances and models that the run reads, as JSON can write them.

    Attributes:
        path: the folder to work in.

    Raises:
        InputError: on entering, when another process works in the folder.
    """

    def __init__(
        self,
        out: Path,
        task: Task,
        *,
        kind: Literal["train", "unlearn"],
        seed: int,
        options: Mapping[str, Any],
        data: Mapping[str, Any],
    ) -> None:
        self.out, self.task = out, task
        self.path = out.with_name(f"{out.name}.partial")
        self._record = {"kind": kind, "seed": seed, "options": dict(options)}
        made_from = [FORMAT, kind, seed, options, data, fingerprint(task.model)]
        self._work = cached(self.path, made_from)
        # Beside the folder, which may be cleared or renamed while the lock is held.
        self._lock = FileLock(out.with_name(f"{out.name}.lock"), timeout=0)

    def __enter__(self) -> Self:
        if distributed.is_first():
            self.out.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise InputError(
                    f"another process is at work in {self.path}; wait for it, or give another --out"
                ) from None
            if not self._work.is_current:
                self._work.clear()
                self.path.mkdir()
                self._work.save()
        distributed.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()
        if kind is None:
            distributed.wait()

    def publish(self, outcome: Outcome, **record: Any) -> None:
        """Save the model and run.json, and rename the folder to `out`.

        Args:
            outcome: of the run, written to run.json.
            record: further entries of run.json.
        """
        if not distributed.is_first():
            return
        remove_head(self.task.model)
        with naming(self.path):
            save_model(self.task.model, self.task.processor, self.path)
        write_json(
            self.path / "run.json",
            {
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": command(),
                "versions": versions(),
                "name": self.out.name,
                "parameters": count_parameters(self.task.model),
                "processes": distributed.share().of,
                **self._record,
                **asdict(outcome),
                **record,
            },
        )
        # Renamed before it is cleared: a kill before the model is complete must not cost the run.
        publish_folder(self.path, self.out)
        self._work.clear()
        remove_work(self.out)
        Path(self._lock.lock_file).unlink(missing_ok=True)


def remove_work(out: Path) -> None:
    """Remove what only the run needed from a published folder."""
    for path in [*checkpoints(out), out / "checkpoint.partial"]:
        shutil.rmtree(path, ignore_errors=True)
    for path in [*out.glob("best-*.safetensors"), *out.glob(".*.partial")]:
        path.unlink(missing_ok=True)


def count_parameters(model: PreTrainedModel) -> int:
    """The number of a model's weights, shared ones once."""
    return sum(p.numel() for p in model.parameters())

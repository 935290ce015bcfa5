"""The folder of a run: it works in OUT.KEY.partial, which becomes OUT once the model is complete.

The key is a digest of everything that the run depends on: each command finds its own work again.
"""

import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from filelock import FileLock, Timeout
from transformers import PreTrainedModel

from asr_unlearn.models.adapters import merge_adapters
from asr_unlearn.models.fingerprint import fingerprint
from asr_unlearn.models.loading import save_model
from asr_unlearn.models.saved_model import SavedModel, weights_of_base
from asr_unlearn.models.tasks import Task
from asr_unlearn.models.tasks.from_scratch import remove_head
from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.io import digest_of, naming, publish_folder, write_json
from asr_unlearn.runtime.provenance import command, versions
from asr_unlearn.training.checkpoint import FORMAT, PARTS, checkpoints
from asr_unlearn.training.model_card import CARD, model_card
from asr_unlearn.training.outcome import NothingUnlearnedError, Outcome

logger = logging.getLogger(__name__)

KEY_DIGITS = 8
# The command that began a run, until it is published.
COMMAND = "command"


class RunFolder:
    """A folder to run in, locked while it is entered, whose result is published atomically.

    Entering resumes an interrupted run of the same key; those of others are kept, and named. With
    several processes all enter, and the first one locks and publishes.

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
        self._record = {"kind": kind, "seed": seed, "options": dict(options)}
        key = digest_of([FORMAT, kind, seed, options, data, fingerprint(task.model)])
        # All processes work where the first one does.
        key, *_ = distributed.gathered([key])
        self.path = out.with_name(f"{out.name}.{key[:KEY_DIGITS]}.partial")
        # Beside the folder, which is renamed while the lock is held. FileLock empties the file:
        # under a plain name it might be somebody's, such as poetry.lock.
        self._lock = FileLock(out.with_name(f".{out.name}.lock"), timeout=0)

    def __enter__(self) -> Self:
        if distributed.is_first():
            self.out.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout:
                raise InputError(
                    f"another process is at work on {self.out}; wait for it, or give another --out"
                ) from None
            self.path.mkdir(exist_ok=True)
            with naming(self.path / COMMAND):
                text = command().encode("utf-8", "backslashreplace")
                (self.path / COMMAND).write_bytes(text)
            for path in self._others():
                logger.warning("%s: %s, which resumes it; or delete it", path, _began(path))
        distributed.barrier()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        resumable = checkpoints(self.path) and not isinstance(error, NothingUnlearnedError)
        if error is not None and distributed.is_first() and not resumable:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        if kind is None:
            distributed.barrier()

    def _others(self) -> list[Path]:
        """The folders of interrupted runs to the same output with another key."""
        name = re.compile(rf"{re.escape(self.out.name)}\.[0-9a-f]{{{KEY_DIGITS}}}\.partial")
        found = (p for p in self.out.parent.iterdir() if name.fullmatch(p.name) and p.is_dir())
        return sorted(path for path in found if path != self.path)

    def publish(self, outcome: Outcome, *, base: str | None = None, **record: Any) -> None:
        """Save the model, its card and run.json, and rename the folder to `out`.

        Args:
            outcome: of the run, written to run.json.
            base: name or folder of the model that adapters are on, to save them without it; None
                merges them.
            record: further entries of run.json.
        """
        if not distributed.is_first():
            return
        remove_head(self.task.model)
        if base is None:
            merge_adapters(self.task.model)
        with naming(self.path):
            save_model(self.task.model, self.task.processor, self.path, base)
        saved = SavedModel(self.out.name, 0, self.path)
        weights = saved.weights()
        if base is not None:
            path = os.path.relpath(base, self.out) if Path(base).is_dir() else base
            record["base"] = {"path": path, "sha256": weights_of_base(weights)}
        written = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command(),
            "versions": versions(),
            "name": self.out.name,
            "weights": weights,
            "parameters": count_parameters(self.task.model),
            "processes": distributed.share().world_size,
            **self._record,
            **asdict(outcome),
            **record,
        }
        write_json(self.path / "run.json", written)
        source = written["options"]["model"]
        if "original" in written:
            source = os.path.normpath(self.out / written["original"]["path"])
        card = model_card(written, saved.kind(), source)
        (self.path / CARD).write_text(card, encoding="utf-8")
        # Renamed before it is cleared: a kill before the model is complete must not cost the run.
        publish_folder(self.path, self.out)
        remove_work(self.out)
        Path(self._lock.lock_file).unlink(missing_ok=True)


def remove_work(out: Path) -> None:
    """Remove what only the run needed from a published folder."""
    for path in [*checkpoints(out), out / "checkpoint.partial"]:
        shutil.rmtree(path, ignore_errors=True)
    # safetensors writes to .tmp* first, which a kill leaves behind.
    leftover = [
        p for pattern in ("best-*.weights", PARTS, ".*.partial", ".tmp*") for p in out.glob(pattern)
    ]
    leftover.append(out / COMMAND)
    for path in leftover:
        path.unlink(missing_ok=True)


def _began(folder: Path) -> str:
    """What an interrupted run is, for a message."""
    path = folder / COMMAND
    if not path.is_file():
        return "an interrupted run"
    return f"an interrupted run of `{path.read_text(encoding='utf-8')}`"


def count_parameters(model: PreTrainedModel) -> int:
    """The number of a model's weights, shared ones once."""
    return sum(p.numel() for p in model.parameters())

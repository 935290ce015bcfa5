"""The state of a run: what its checkpoints hold, and how an interrupted run takes it up again."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate.utils import send_to_device

from asr_unlearn.data.split import Part
from asr_unlearn.models.tasks import Task
from asr_unlearn.runtime import distributed, sharding
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.checkpoint import (
    load_checkpoint,
    load_part,
    save_checkpoint,
    save_part,
    set_aside_damaged,
)
from asr_unlearn.training.clock import Clock
from asr_unlearn.training.early_stopping import EarlyStopping
from asr_unlearn.training.update import Update


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: steps taken.
        drawn: batches of each part that were drawn.
    """

    step: int = 0
    drawn: dict[Part, int] = field(default_factory=dict)


@dataclass
class RunState:
    """Everything that changes from step to step.

    Attributes:
        folder: of the checkpoints.
        task: the model that is trained.
        update: its optimizer.
        early_stopping: what checks it, if anything does.
        clock: what the run has cost.
        progress: how far it is.
    """

    folder: Path
    task: Task
    update: Update
    early_stopping: EarlyStopping | None
    clock: Clock
    progress: Progress = field(default_factory=Progress)

    def save(self) -> None:
        """Write a checkpoint, and remove older ones."""
        model, optimizer, parts = self.task.model, self.update.optimizer.state_dict(), 0
        if sharding.is_sharded(model):
            save_part(self.folder, self.progress.step, distributed.share().rank, optimizer)
            model, optimizer, parts = sharding.unsharded(model), {}, distributed.share().world_size
            distributed.barrier()
        if not distributed.is_first():
            return
        state = {
            **asdict(self.progress),
            "clock": self.clock.state_dict(),
            "optimizer": optimizer,
            "parts": parts,
            "update": self.update.state_dict(),
            "early_stopping": self.early_stopping.state_dict() if self.early_stopping else {},
        }
        if self.early_stopping:
            self.early_stopping.flush()
        save_checkpoint(self.folder, model, state)
        if self.early_stopping:
            self.early_stopping.checkpointed()

    def restore(self) -> bool:
        """Take up the newest checkpoint that is complete; returns whether there is one.

        Raises:
            InputError: it was saved by another number of processes, each with a part of it.
        """
        if distributed.is_first():
            set_aside_damaged(self.folder)
        distributed.barrier()
        state = load_checkpoint(self.folder, sharding.unsharded(self.task.model))
        sharding.reshard(self.task.model)
        distributed.barrier()
        if state is None:
            return False
        self._load_optimizer(state["step"], state.pop("optimizer"), state.pop("parts"))
        self.update.load_state_dict(send_to_device(state.pop("update"), self.task.device))
        checked = state.pop("early_stopping")
        if self.early_stopping:
            self.early_stopping.load_state_dict(checked)
        self.clock.load_state_dict(state.pop("clock"))
        self.progress = Progress(**state)
        return True

    def _load_optimizer(self, step: int, state: dict[str, Any], parts: int) -> None:
        """Take the state that all processes have, or this one's of several parts."""
        own = distributed.share()
        if parts and parts != own.world_size:
            raise InputError(
                f"{self.folder}: begun by {parts} processes, which each have a part of the "
                "optimizer's state; go on with as many, or delete the folder to begin anew"
            )
        if parts:
            state = load_part(self.folder, step, own.rank)
        self.update.optimizer.load_state_dict(state)

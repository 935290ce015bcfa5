"""A training for another process, in a module that can be imported there."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.tiny_training import tiny_training


@dataclass(frozen=True)
class SlowTraining:
    """Fine-tuning with a checkpoint after each step; notes its process and its first step.

    Attributes:
        corpus, config: of the tiny model.
        folder: to work in; it is shared by all nodes.
        seconds: to wait before each step.
    """

    corpus: Path
    config: Path
    folder: Path
    seconds: float

    def __call__(self) -> int:
        run = tiny_training(self.corpus, self.config, self.folder, "finetune", epochs=6)
        step = run._step
        first = True

        def slow(bar) -> None:
            nonlocal first
            if first:
                with (self.folder / "begun").open("a") as file:
                    file.write(f"{os.getpid()} {run.progress.step}\n")
            first = False
            time.sleep(self.seconds)
            step(bar)

        run._step = slow
        return run().steps


@dataclass(frozen=True)
class Failing:
    """Raises the error that a command raises for a bad input."""

    def __call__(self) -> None:
        from asr_unlearn.runtime.errors import InputError

        raise InputError("model.json: there is no such file")

"""Runs the trainings of a recipe side by side, each as soon as what it reads is there."""

import os
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import torch

from asr_unlearn.cli import main as commands
from asr_unlearn.cli.plan import Command
from asr_unlearn.cli.runner import Runner
from asr_unlearn.cli.stages import begin, end, title

LOGS = "logs"


@dataclass(frozen=True)
class Training:
    """A command in another process; what it prints is appended to a file.

    Attributes:
        argv: of the command.
        log: the file.
        folder: that paths are relative to.
        threads: of torch; None for as many as the process has.
        gpu: the only one to be seen; None for all.
    """

    argv: Sequence[str]
    log: Path
    folder: Path
    threads: int | None = None
    gpu: str | None = None

    def __call__(self) -> None:
        os.chdir(self.folder)
        if self.gpu is not None:
            # Before the first call of CUDA in this process.
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with (
            self.log.open("a", encoding="utf-8", buffering=1) as log,
            redirect_stdout(log),
            redirect_stderr(log),
        ):
            commands.main(self.argv)


def dependencies(steps: Sequence[Command]) -> dict[int, set[int]]:
    """For the number of each command those of the others whose outputs it reads."""
    makers = {step.leaves: number for number, step in enumerate(steps)}
    return {
        number: {makers[path] for path in step.reads if path in makers}
        for number, step in enumerate(steps)
    }


def run_side_by_side(steps: Sequence[Command], out: Path, runner: Runner) -> None:
    """Run commands in other processes; those that are complete are skipped.

    Args:
        steps: the commands.
        out: folder of the recipe's output; what they print goes to files in its folder "logs".
        runner: where they run.

    Raises:
        AsrUnlearnError: of the first command that fails, whose output has been named.
    """
    order = TopologicalSorter(dependencies(steps))
    order.prepare()
    ready: deque[int] = deque()
    free = deque(runner.gpu_of_each)
    running: dict[Future[None], tuple[int, Training, float]] = {}
    with runner.start() as submit:
        while order.is_active():
            ready.extend(order.get_ready())
            while ready and (runner.workers is None or len(running) < runner.workers):
                number = ready.popleft()
                if not begin(steps[number], out):
                    order.done(number)
                    continue
                call = Training(
                    argv=steps[number].argv,
                    log=out / LOGS / f"{steps[number].name.replace('/', '-')}.log",
                    folder=Path.cwd(),
                    threads=runner.threads,
                    gpu=free.popleft() if free else None,
                )
                running[submit(call)] = number, call, time.monotonic()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number, call, began = running.pop(future)
                if future.exception() is not None:
                    print(f"{title(steps[number])} failed; see {call.log}", flush=True)
                future.result()
                end(steps[number], out, time.monotonic() - began)
                order.done(number)
                if call.gpu is not None:
                    free.append(call.gpu)

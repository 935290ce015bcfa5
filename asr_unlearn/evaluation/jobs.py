"""Runs the jobs of an evaluation, several at the same time in processes of their own."""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from joblib import cpu_count

from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.launch import launched_share
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.runtime.runner import LOCAL, LoggedCall, Runner, check_runner


@dataclass(frozen=True)
class Workers:
    """Where an evaluation's jobs run.

    Attributes:
        workers: jobs at the same time; 0 for one per core, or one on a GPU, or as many as a cluster
            has room for.
        runner: "local" or as for `Runner.of`.

    Raises:
        InputError: a negative number, or no such runner.
    """

    workers: int = 0
    runner: str = LOCAL

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise InputError(f"--workers {self.workers}: give 0 or more")
        check_runner(self.runner)

    def trainings(self, device: torch.device) -> Runner:
        """Return where trainings run, and how many at the same time."""
        if self.runner != LOCAL:
            return Runner.of(self.runner, self.workers or None, device)
        return Runner(LOCAL, self.workers or (1 if device.type == "cuda" else cpu_count()))

    def transcriptions(self, device: torch.device) -> Runner:
        """Return where models are transcribed: one after the other here unless it is asked for."""
        return self.trainings(device) if self.runner != LOCAL else Runner(LOCAL, self.workers or 1)


class Job(Protocol):
    """Work with a result that is kept."""

    def __call__(self) -> None: ...

    def is_done(self) -> bool:
        """Whether the result is there already."""


def run_jobs(jobs: Sequence[Job], runner: Runner, log: Path, description: str) -> None:
    """Run all jobs that are not done; if one fails, the others end, and a later call resumes them.

    Other processes write their output to the file `log`. Jobs must be picklable. Of several
    launched processes each runs its share, and waits for the others' results.
    """
    own = launched_share().of_all(jobs)
    _run([job for job in own if not job.is_done()], runner, log, description)
    distributed.barrier_without_group()


def _run(jobs: Sequence[Job], runner: Runner, log: Path, description: str) -> None:
    if not jobs:
        return
    runner = runner.at_most(len(jobs))
    if runner.is_this_process:
        for job in jobs:
            job()
        return
    bar = Bar(total=len(jobs), desc=description, unit="model")
    with runner.start(one_call_each=False) as submit, bar:
        calls = (LoggedCall(job, log, Path.cwd(), runner.threads) for job in jobs)
        running = {submit(call) for call in islice(calls, runner.workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                each.result()
                bar.update()
            running |= {submit(call) for call in islice(calls, len(done))}

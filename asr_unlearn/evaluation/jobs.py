"""Runs the jobs of an evaluation, several at the same time in processes of their own."""

import sys
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Protocol

import torch
from tqdm import tqdm

from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.processes import working


class Job(Protocol):
    """Work with a result that is kept."""

    def __call__(self) -> None: ...

    def is_done(self) -> bool:
        """Whether the result is there already."""


def run_jobs(jobs: Sequence[Job], workers: int, log: Path, description: str) -> None:
    """Run all jobs that are not done; if one fails, the others end, and a later call resumes them.

    With one worker the jobs run in this process. Other processes write their output to the file
    `log`. Jobs must be picklable. Of several launched processes each runs its share, and waits for
    the others' results.
    """
    _run_own(distributed.launched_share().of_all(jobs), workers, log, description)
    distributed.meet()


def _run_own(jobs: Sequence[Job], workers: int, log: Path, description: str) -> None:
    jobs = [job for job in jobs if not job.is_done()]
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            job()
        return
    workers = min(workers, len(jobs))
    threads = max(1, torch.get_num_threads() // workers)
    log.parent.mkdir(parents=True, exist_ok=True)
    bar = tqdm(total=len(jobs), desc=description, unit="model")
    with working(workers, jobs, begin=_begin, arguments=(threads, log)) as trainings, bar:
        for done in as_completed(trainings):
            done.result()
            bar.update()


def _begin(threads: int, log: Path) -> None:
    """Prepare a process; its progress bars go to `log`, where they overwrite no others."""
    torch.set_num_threads(threads)
    sys.stderr = sys.stdout = log.open("a", encoding="utf-8", buffering=1)

"""Runs the jobs of an evaluation, several at the same time in processes of their own."""

from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Protocol

from asr_unlearn.runtime import distributed
from asr_unlearn.runtime.progress import Bar
from asr_unlearn.runtime.runner import Elsewhere, Runner


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
    own = distributed.launched_share().of_all(jobs)
    _run([job for job in own if not job.is_done()], runner, log, description)
    distributed.meet()


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
        running = [submit(Elsewhere(job, log, Path.cwd(), runner.threads)) for job in jobs]
        for done in as_completed(running):
            done.result()
            bar.update()

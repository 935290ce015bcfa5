"""Trainings at the same time: all end, or the error says which did not."""

import contextlib
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from asr_unlearn.evaluation.jobs import run_jobs
from asr_unlearn.runtime.runner import Runner
from tests.support.copying import Copying

TWO = Runner("local", 2)


def test_jobs_side_by_side_all_end_or_say_which_did_not(tmp_path):
    (tmp_path / "source").write_text("by ")
    jobs = [Copying(tmp_path / "source", tmp_path / str(i)) for i in range(3)]
    jobs[0]()
    run_jobs(jobs, TWO, tmp_path / "log", "copying")
    by = [job.target.read_text() for job in jobs]
    assert by[0] == f"by {os.getpid()}"
    assert by[0] not in by[1:]
    missing = [Copying(tmp_path / "nowhere", tmp_path / f"{i}?") for i in range(2)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_jobs(missing, TWO, tmp_path / "log", "copying")


@pytest.mark.parametrize("workers", [1, 3, None])
def test_no_more_jobs_are_submitted_than_there_are_workers(workers, tmp_path, monkeypatch):
    """A cluster may have room for more."""
    unfinished = []

    @contextlib.contextmanager
    def cluster(runner, *, one_call_each):
        with ThreadPoolExecutor(8) as pool:
            futures = []

            def submit(call):
                futures.append(pool.submit(time.sleep, 0.02))
                unfinished.append(sum(not future.done() for future in futures))
                return futures[-1]

            yield submit
            assert len(futures) == 7

    monkeypatch.setattr(Runner, "start", cluster)
    jobs = [Copying(tmp_path, tmp_path / str(i)) for i in range(7)]
    run_jobs(jobs, Runner("ray", workers), tmp_path / "log", "copying")
    assert max(unfinished) <= (workers or 7)
    assert workers or max(unfinished) > 3


def test_a_killed_run_leaves_nobody_at_work(tmp_path):
    """Or who takes the run up again would have to share its folders with them."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from asr_unlearn.evaluation.jobs import run_jobs\n"
        "from asr_unlearn.runtime.runner import Runner\n"
        "class Job(str):\n"
        "    def is_done(self):\n"
        "        return False\n"
        "    def __call__(self):\n"
        "        Path(self).write_text(str(os.getpid()))\n"
        "        time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    run_jobs([Job(name) for name in 'ab'], Runner('local', 2), Path('log'), 'sleeping')\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as run:
        pids = [int(eventually((tmp_path / name).read_text)) for name in "ab"]
        run.kill()
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def eventually(wanted, seconds=300):
    """What `wanted` returns, as soon as that is something."""
    for _ in range(10 * seconds):
        with contextlib.suppress(FileNotFoundError):
            if found := wanted():
                return found
        time.sleep(0.1)
    return pytest.fail(f"not within {seconds} s")

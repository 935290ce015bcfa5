"""Progress is shown where people look, and readable where it is kept."""

import io
import subprocess
import sys

import pytest

from asr_unlearn.runtime.progress import Bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_in_a_file():
    file = io.StringIO()
    with Bar(total=3, desc="training", unit="step", file=file) as bar:
        for loss in (0.5, 0.25, 0.125):
            bar.update()
            bar.set_postfix({"loss": loss}, refresh=False)
    lines = file.getvalue().splitlines()
    assert "\r" not in file.getvalue()
    assert lines[0].startswith("training: 0 of 3 step, ")
    assert lines[-1].startswith("training: 3 of 3 step, ")
    assert lines[-1].endswith("left, loss=0.125")
    assert len(lines) == 2


def test_a_line_from_time_to_time(monkeypatch):
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(now)))
    monkeypatch.setattr(Bar, "monitor_interval", 0)
    file = io.StringIO()
    list(Bar(range(20), desc="checking", unit="file", file=file))
    lines = file.getvalue().splitlines()
    assert 4 <= len(lines) <= 12
    assert [int(line.split()[1]) for line in lines] == sorted(int(x.split()[1]) for x in lines)


@pytest.mark.parametrize("options", [{"delay": 2}, {"disable": True}])
def test_what_is_quick_or_not_wanted_is_not_shown(options):
    file = io.StringIO()
    list(Bar(range(20), file=file, **options))
    assert file.getvalue() == ""


def test_a_bar_on_a_terminal():
    file = Terminal()
    list(Bar(range(20), desc="training", file=file))
    assert "\rtraining: 100%" in file.getvalue()


def test_no_lock_is_made_that_a_killed_process_would_leave_behind():
    """Python's resource tracker starts with the first lock in a process that was spawned."""
    code = (
        "import multiprocessing\n"
        "from multiprocessing import resource_tracker\n"
        "multiprocessing.set_start_method('spawn')\n"
        "from asr_unlearn.runtime.progress import Bar\n"
        "list(Bar(range(3)))\n"
        "print(resource_tracker._resource_tracker._pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"

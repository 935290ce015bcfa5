"""Waits for what other processes do."""

import time
from pathlib import Path


def wait_until(condition, seconds=90.0):
    """What the condition returns, as soon as it is true."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "it has not happened"
        time.sleep(0.02)
    return found


def at_work(pid):
    """Whether a process runs; one that has ended may still be in the system's table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

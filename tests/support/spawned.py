"""Two processes of a group that run the same function."""

import time

import pytest
import torch.multiprocessing as mp


def run_both(function, place, seconds):
    """Call `function(rank, place)` in two processes; fail where they wait for each other."""
    context = mp.spawn(function, (place,), nprocs=2, join=False)
    deadline = time.monotonic() + seconds
    while not context.join(timeout=1):
        if time.monotonic() > deadline:
            for process in context.processes:
                process.kill()
            pytest.fail("the two processes wait for each other")

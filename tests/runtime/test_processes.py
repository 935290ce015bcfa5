"""Calls in processes: results, errors and ends come back, whatever the others are doing."""

import functools
import os
import random
import time

import pytest

from asr_unlearn.runtime.processes import KilledError, processes


def pause(seconds):
    """Like a training that a signal ends, which takes a moment to save a checkpoint."""
    try:
        time.sleep(seconds)
    finally:
        time.sleep(0.02)
    return os.getpid()


def wait_for(call, calls, one_call_each):
    with processes(len(calls), one_call_each=one_call_each) as submit:
        futures = [submit(each) for each in calls]
        futures[calls.index(call)].result()


def leave_at_work(futures):
    with processes(2) as submit:
        futures.extend(submit(functools.partial(pause, 600)) for _ in range(4))
        raise RuntimeError("elsewhere")


def fail():
    raise ValueError("as asked")


@pytest.mark.parametrize("one_call_each", [False, True])
def test_calls_share_processes_or_have_their_own(one_call_each):
    with processes(2, one_call_each=one_call_each) as submit:
        futures = [submit(functools.partial(pause, 0.01)) for _ in range(5)]
        found = {future.result() for future in futures}
    assert os.getpid() not in found
    assert len(found) == 5 if one_call_each else len(found) <= 2


@pytest.mark.parametrize("one_call_each", [False, True])
def test_a_failure_ends_the_others_whatever_they_do(one_call_each):
    """Starting, waiting, in a call, handing back its result: none may wait for ever."""
    draw = random.Random(0)
    for _ in range(15):
        calls = [functools.partial(pause, draw.choice([0.0, 0.02, 600])) for _ in range(2)]
        calls.insert(draw.randrange(3), fail)
        with pytest.raises(ValueError, match="as asked") as failure:
            wait_for(fail, calls, one_call_each)
        assert "in fail" in "".join(failure.value.__notes__)


def test_an_error_that_is_no_call_s_ends_them_too():
    futures = []
    with pytest.raises(RuntimeError, match="elsewhere"):
        leave_at_work(futures)
    assert len(futures) == 4
    assert all(future.done() for future in futures)


def test_a_killed_process_is_named():
    with processes(1) as submit:
        with pytest.raises(KilledError, match="killed from outside"):
            submit(kill).result()
        assert submit(os.getpid).result() != os.getpid()


def kill():
    os.kill(os.getpid(), 9)

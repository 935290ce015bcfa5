"""Ctrl-C, SIGTERM and SIGHUP: children end first, work is saved, one line, status 128 + n."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from asr_unlearn.runtime import program, signals
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.runtime.processes import KilledError, working
from asr_unlearn.training.checkpoint import checkpoints
from tests.support.endless import Endless, killed
from tests.support.lost_node import Failing
from tests.support.tiny_training import tiny_training
from tests.support.waiting import at_work, wait_until

ROOT = Path(__file__).parents[2]
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_a_program_ends_with_one_line(number, capsys):
    handlers = [signal.getsignal(n) for n in ENDING]
    status = program.run_program("it", lambda: send(number))
    assert status == 128 + number
    assert capsys.readouterr().err == "\nit: interrupted; the same command goes on\n"
    signal.signal(number, handlers[ENDING.index(number)])


@pytest.fixture(autouse=True)
def handlers_restored():
    before = {number: signal.getsignal(number) for number in ENDING}
    # `nohup` ignores SIGHUP and a shell's background job SIGINT; a child inherits that.
    defaults = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    for number, default in defaults.items():
        if before[number] == signal.SIG_IGN:
            signal.signal(number, default)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_is_ignored_stays_ignored():
    """`nohup` and background jobs of a shell ignore signals for their programs."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert program.run_program("it", lambda: send(signal.SIGHUP)) == 0


def held_while(*numbers):
    """What is done before and after the signals; those before the first of them are all done."""
    done = []
    try:
        with signals.raised(), signals.held() as come:
            for number in numbers:
                send(number)
                done.append(come.number > 0)
    except signals.EndedError as ended:
        done.append(ended.number)
    return done


def test_the_first_signal_waits_and_the_second_does_not():
    assert held_while() == []
    assert held_while(signal.SIGTERM) == [True, signal.SIGTERM]
    assert held_while(signal.SIGTERM, signal.SIGHUP) == [True, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_a_training_saves_the_step_that_it_is_in(number, corpus, tiny_config, tmp_path, capsys):
    options = {"epochs": 2.0, "retain_batch": 4}
    whole = tiny_training(corpus, tiny_config, tmp_path / "whole", "finetune", **options)
    whole()

    run = tiny_training(corpus, tiny_config, tmp_path / "ended", "finetune", **options)
    run.checkpoint_seconds = float("inf")
    update = run._update

    def ended_in_the_third():
        if run.progress.step == 2:
            send(number)
        return update()

    run._update = ended_in_the_third
    assert program.run_program("it", lambda: run() and None) == 128 + number
    assert "it: interrupted; the same command goes on" in capsys.readouterr().err
    assert [path.name for path in checkpoints(tmp_path / "ended")] == ["checkpoint-000000003"]

    again = tiny_training(corpus, tiny_config, tmp_path / "ended", "finetune", **options)
    again()
    for name, weights in whole.task.model.state_dict().items():
        assert torch.equal(weights, again.task.model.state_dict()[name]), name


def running(*argv, **given):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *argv], env=environment, cwd=ROOT, stderr=subprocess.PIPE, **given
    )


def catches(pid):
    """Whether a process has a handler for SIGTERM."""
    status = Path(f"/proc/{pid}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt")]
    return bool(int(mask, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture
def endless(tmp_path):
    """A program with two processes at work, and their ids."""
    process = running("-m", "tests.support.endless", str(tmp_path))
    files = [tmp_path / f"{number}.pid" for number in range(2)]
    wait_until(lambda: all(file.is_file() and file.read_text() for file in files), 30)
    yield process, [int(file.read_text()) for file in files]
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", ENDING)
def test_children_end_first_and_save(number, endless, tmp_path):
    process, children = endless
    process.send_signal(number)
    _, shown = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert shown.decode() == "\nendless: interrupted; the same command goes on\n"
    assert not any(at_work(child) for child in children)
    assert all((tmp_path / f"{number}.saved").exists() for number in range(2))


def test_a_failure_ends_processes_of_a_single_call_without_a_word(tmp_path, monkeypatch):
    """Python's own thread of a pool printed a traceback, where a process ended after the pool."""
    said = []
    monkeypatch.setattr(threading, "excepthook", said.append)

    def fail():
        with working(2, [Endless(tmp_path, 0), Failing()], one_call_each=True) as futures:
            wait_until((tmp_path / "0.pid").exists, 30)
            futures[1].result()

    with pytest.raises(InputError, match=r"model\.json: there is no such file"):
        fail()
    assert (tmp_path / "0.saved").exists()
    assert said == []


def test_a_parent_that_is_killed_alone_leaves_nobody_at_work(endless):
    process, children = endless
    process.kill()
    process.wait()
    wait_until(lambda: not any(at_work(child) for child in children), seconds=10)


def test_a_child_that_is_killed_is_said():
    with (
        pytest.raises(KilledError, match=r"killed from outside.*give fewer workers"),
        working(1, [killed]) as futures,
    ):
        futures[0].result()


def test_preparation_started_by_a_recipe_ends_with_it():
    """A program that finds its parent in the environment ends when that one is gone."""
    code = "import time; from asr_unlearn.runtime.program import run_program; "
    code += "run_program('it', lambda: time.sleep(60))"
    starter = (
        "import os, subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {code!r}], "
        "env={**os.environ, 'ASR_UNLEARN_PARENT': str(os.getpid())}); "
        "print(p.pid, flush=True); p.wait()"
    )
    parent = running("-c", starter, stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    assert at_work(child)
    time.sleep(0.5)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not at_work(child), seconds=15)


@pytest.mark.slow
@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize(
    "argv",
    [
        ["-m", "asr_unlearn", "methods"],
        ["-m", "asr_unlearn.cli.run_recipe", "recipes/quickstart", "--help"],
        ["-m", "data_prep.check", "--help"],
    ],
)
def test_no_traceback_during_the_imports(argv, number):
    for moment in (0.0, 0.3, 1.0, 2.0):
        process = running(*argv, stdout=subprocess.DEVNULL)
        # While Python itself starts, it is not yet this program that a signal meets.
        wait_until(lambda process=process: process.poll() is not None or catches(process.pid), 30)
        time.sleep(moment)
        process.send_signal(number)
        _, shown = process.communicate(timeout=60)
        assert b"Traceback" not in shown, shown.decode()
        # Nor is it while Python itself ends: the signal then has its default effect.
        ended = {-number} if moment else set()
        assert process.returncode in {0, 128 + number, *ended}, shown

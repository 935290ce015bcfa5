"""Searches that share their trials in a real PostgreSQL server, started for the test."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from asr_unlearn.cli.main import main
from asr_unlearn.runtime.errors import InputError
from asr_unlearn.training.trial_storage import is_database, load_study

ROOT = Path(__file__).parents[2]
TRIALS = 6


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The URL of an empty database."""
    if shutil.which("postgres") is None:
        assert os.environ.get("CI") != "true", "install PostgreSQL, which this test starts"
        pytest.skip("there is no PostgreSQL here")
    folder = tmp_path_factory.mktemp("postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # The server does not run for root.
    user = {} if os.getuid() else {"user": "nobody", "group": "nogroup", "extra_groups": []}
    if user:
        shutil.chown(folder, "nobody")
        for parent in list(folder.parents)[:-2]:
            parent.chmod(0o755)
    data, quiet = folder / "data", {"stdout": subprocess.DEVNULL, "cwd": folder, **user}
    subprocess.run(["initdb", "-D", data, "-U", "me", "--auth=trust"], check=True, **quiet)
    argv = ["postgres", "-D", data, "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, **quiet) as server:
        url = f"postgresql://me:secret@127.0.0.1:{port}/postgres"
        ready = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        for _ in range(300):
            if not subprocess.run(ready, check=False).returncode:
                break
            time.sleep(0.1)
        yield url
        # At once: SIGTERM would wait for connections to end.
        server.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def search(corpus, tiny_config, tmp_path_factory):
    """The words of a search for options, without its storage."""
    original = tmp_path_factory.mktemp("tuned") / "original"
    data = ["--manifest", str(corpus / "manifest.jsonl"), "--split", str(corpus / "split.json")]
    main(["train", *data, "--model", str(tiny_config), "--out", str(original)])
    argv = ["tune", *data, "--model", str(original), "--method", "cf_k", "--method.epochs", "1"]
    return [*argv, "--stop.rule", "steps", "--trials", str(TRIALS)]


@pytest.mark.slow
def test_two_processes_search_at_once(database, search, tmp_path):
    argv = [sys.executable, "-m", "asr_unlearn", *search, "--out", database]
    given = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [subprocess.Popen(argv, **given, **pipes) for _ in range(2)]
    shown = [process.communicate(timeout=180) for process in running]
    assert [process.returncode for process in running] == [0, 0], shown
    storage = optuna.storages.RDBStorage(database)
    (summary,) = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    # A process begins a trial as long as too few have ended.
    assert TRIALS <= len(trials) <= TRIALS + 1
    assert {trial.state for trial in trials} == {optuna.trial.TrialState.COMPLETE}
    rates = [trial.params["lr"] for trial in trials]
    assert len(set(rates)) == len(rates)
    overlap = [a.datetime_complete > b.datetime_start for a, b in pairs(trials)]
    assert any(overlap)
    assert rates[0] == pytest.approx(3e-4)
    assert all(out.splitlines()[-1].startswith("--method cf_k --method.lr ") for out, _ in shown)
    # The database alone holds the trials.
    assert not list(tmp_path.iterdir())


def pairs(trials):
    ordered = sorted(trials, key=lambda trial: trial.datetime_start)
    return itertools.pairwise(ordered)


@pytest.mark.parametrize(
    "out",
    [
        "postgresql://me:secret@127.0.0.1:1/postgres",
        "nothing://me:secret@host/trials",
        "mysql://me:secret@127.0.0.1:1/trials",
    ],
)
def test_a_database_that_is_not_there_is_named_without_its_password(out):
    named = out.replace(":secret", "")
    with pytest.raises(InputError, match=f"^--out {named}: ") as caught:
        load_study("x", out)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_database():
    assert not is_database(Path("postgresql:/me"))
    assert not is_database("out/tune.journal")
    assert is_database("postgresql://host/trials")

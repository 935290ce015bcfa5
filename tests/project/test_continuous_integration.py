"""A run names what it did not test, and what it installs is pinned."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_without_real_speech_the_run_says_so_and_fails_in_ci(ci, status, tmp_path):
    folder = tmp_path / "checkout" / "tests"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text("def test_it(shared_data):\n    pass\n", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", folder],
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status, ended.stdout
    assert f"NOT TESTED: {tmp_path / 'shared' / 'data'} does not exist" in ended.stdout
    assert ("1 tests were skipped without ../shared" in ended.stdout) == (not ci)


def test_constraints_are_what_is_installed_and_changes_are_printed(tmp_path):
    path = tmp_path / "constraints.txt"
    path.write_text("# before\nnumpy==0.0.1\nunheard-of==1.0\n", encoding="utf-8")
    command = [sys.executable, ROOT / ".ci" / "constraints.py", path]

    def printed():
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    lines = printed().splitlines()
    assert f"changed  numpy 0.0.1 -> {version('numpy')}" in lines
    assert "removed  unheard-of 1.0" in lines
    assert f"added    scipy {version('scipy')}" in lines
    assert f"torch=={version('torch').partition('+')[0]}" in path.read_text().splitlines()
    assert printed() == "nothing has changed\n"

"""What happens on a disk that is full, read-only or was cut off: one line, and nothing is lost.

The small file systems are real ones, mounted for a process of its own where these tests may.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def mounts_allowed():
    """Whether this process may mount file systems that nobody else sees."""
    test = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(test, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(
    not mounts_allowed(), reason="NOT TESTED: full and read-only disks, for which root mounts some"
)


def small_disk(folder, size):
    return f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))}"


def read_only(folder):
    quoted = shlex.quote(str(folder))
    return f"mount --bind {quoted} {quoted}; mount -o remount,ro,bind {quoted}"


def within(mounts, *commands):
    """What shell commands print and end with, with these file systems."""
    script = "\n".join(["set -e", *mounts, "set +e", *commands])
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TQDM_DISABLE": "1"}
    return subprocess.run(
        ["unshare", "-m", "bash", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def python(code):
    return shlex.join([sys.executable, "-c", code])


def asr_unlearn(*argv):
    return shlex.join([sys.executable, "-m", "asr_unlearn", *map(str, argv)])


WRITERS = {
    "json": "write_json(path, {'a': 'x' * 10**6})",
    "cache": "with write_aside(path, durable=False) as a, a.open('wb') as f:\n"
    "    np.savez(f, x=np.zeros(10**6))",
    "weights": "save_weights(torch.nn.Linear(1000, 1000), path)",
    "log": "path.mkdir(); Run(path).log(step=1, text='x' * 10**6)",
    "checkpoint": "state = {'step': 1, 'x': torch.ones(10**6)}\n"
    "save_checkpoint(path, torch.nn.Linear(2, 2), state)",
}
NAMED = {"log": "/metrics.jsonl", "checkpoint": "/checkpoint.partial/state.pt"}


@needs_mounts
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_named_by_what_was_to_be_written(writer, tmp_path):
    code = f"""
import sys, numpy as np, torch
from pathlib import Path
from asr_unlearn import program
from asr_unlearn.checkpoint import save_checkpoint, save_weights
from asr_unlearn.files import write_aside, write_json
from asr_unlearn.run import Run
path = Path({str(tmp_path / "target")!r})
def work():
    {WRITERS[writer].replace(chr(10), chr(10) + "    ")}
sys.exit(program.carry_out("it", work))
"""
    ended = within([small_disk(tmp_path, "300k")], python(code))
    assert ended.stderr == (
        f"it: {tmp_path}/target{NAMED.get(writer, '')}: No space left on device; "
        "free room; the same command goes on\n"
    )
    assert ended.returncode == 1


def test_the_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """The order of writing, waiting for the disk and renaming is what survives a crash."""
    from asr_unlearn import files

    done = []
    replace = Path.replace
    monkeypatch.setattr(files, "flush", lambda path: done.append(("flush", path.name)))
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (done.append(("rename", to.name)), replace(self, to))[1]
    )
    files.write_json(tmp_path / "precious.json", {})
    aside = f".precious.json.{os.getpid()}.partial"
    assert done == [("flush", aside), ("rename", "precious.json"), ("flush", tmp_path.name)]
    done.clear()
    with files.write_aside(tmp_path / "cheap", durable=False) as path:
        path.touch()
    assert done == [("rename", "cheap")]


def test_a_published_folder_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    from asr_unlearn import files

    made = tmp_path / "model.partial"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "weights").touch()
    flushed = []
    monkeypatch.setattr(
        files, "flush", lambda path: flushed.append((path.name, (tmp_path / "model").exists()))
    )
    files.publish_folder(made, tmp_path / "model")
    assert sorted(flushed[:-1]) == [("deep", False), ("model.partial", False), ("weights", False)]
    assert flushed[-1] == (tmp_path.name, True)

"""What happens on a disk that is full, read-only or was cut off: one line, and nothing is lost.

The small file systems are real ones, mounted for a process of its own where these tests may.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr_unlearn.cli.main import main

REPOSITORY = Path(__file__).parents[2]


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


def asr_unlearn(*commands):
    """Run commands one after the other as programs, in one process; each status is printed.

    A command that is a text is the shell's.
    """
    carried_out = [
        f"subprocess.run({command!r}, shell=True)"
        if isinstance(command, str)
        else f"print(program.run_program('asr-unlearn', lambda: main({list(map(str, command))!r})))"
        for command in commands
    ]
    return python(
        "import subprocess\nfrom asr_unlearn.runtime import program\n"
        "from asr_unlearn.cli.main import main\n" + "\n".join(carried_out)
    )


WRITERS = {
    "json": "write_json(path, {'a': 'x' * 10**6})",
    "cache": "with atomic_write(path, durable=False) as a, a.open('wb') as f:\n"
    "    np.savez(f, x=np.zeros(10**6))",
    "weights": "save_weights(torch.nn.Linear(1000, 1000), path)",
    "log": "path.mkdir(); RunLog(path).log(step=1, text='x' * 10**6)",
    "model": "path.mkdir()\nwith naming(path):\n"
    "    save_file({'a': torch.ones(10**6)}, path / 'model.safetensors')",
    "checkpoint": "state = {'step': 1, 'x': torch.ones(10**6)}\n"
    "save_checkpoint(path, torch.nn.Linear(2, 2), state)",
}
NAMED = {"log": "/metrics.jsonl", "checkpoint": "/checkpoint.partial/state.pt"}


@needs_mounts
def test_a_full_disk_is_named_by_what_was_to_be_written(tmp_path):
    code = f"""
import shutil
import numpy as np, torch
from pathlib import Path
from safetensors.torch import save_file
from asr_unlearn.runtime import program
from asr_unlearn.training.checkpoint import save_checkpoint, save_weights
from asr_unlearn.runtime.io import naming, atomic_write, write_json
from asr_unlearn.training.run_log import RunLog
path = Path({str(tmp_path / "target")!r})
for code in {list(WRITERS.values())!r}:
    print(program.run_program("it", lambda: exec(code)))
    for left in path.parent.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
"""
    ended = within([small_disk(tmp_path, "300k")], python(code))
    assert ended.stderr.splitlines() == [
        f"it: {tmp_path}/target{NAMED.get(writer, '')}: No space left on device; "
        "free room; the same command goes on"
        for writer in WRITERS
    ]
    assert ended.stdout.split() == ["1"] * len(WRITERS)


def test_the_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    """The order of writing, waiting for the disk and renaming is what survives a crash."""
    from asr_unlearn.runtime import io

    done = []
    replace = Path.replace
    monkeypatch.setattr(io, "flush", lambda path: done.append(("flush", path.name)))
    monkeypatch.setattr(
        Path, "replace", lambda self, to: (done.append(("rename", to.name)), replace(self, to))[1]
    )
    io.write_json(tmp_path / "precious.json", {})
    aside = f".precious.json.{io._host()}.{os.getpid()}.partial"
    assert done == [("flush", aside), ("rename", "precious.json"), ("flush", tmp_path.name)]
    done.clear()
    with io.atomic_write(tmp_path / "cheap", durable=False) as path:
        path.touch()
    assert done == [("rename", "cheap")]


def test_a_published_folder_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    from asr_unlearn.runtime import io

    made = tmp_path / "model.partial"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "weights").touch()
    flushed = []
    monkeypatch.setattr(
        io, "flush", lambda path: flushed.append((path.name, (tmp_path / "model").exists()))
    )
    io.publish_folder(made, tmp_path / "model")
    assert sorted(flushed[:-1]) == [("deep", False), ("model.partial", False), ("weights", False)]
    assert flushed[-1] == (tmp_path.name, True)


@pytest.fixture(scope="module")
def made(corpus, tiny_config, tmp_path_factory):
    """A folder with a corpus and an original model, as somebody else may have left it."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copytree(corpus, folder, dirs_exist_ok=True)
    main(["train", *of(folder), "--model", str(tiny_config), "--out", str(folder / "original")])
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return folder


def of(folder):
    return ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / "split.json")]


def unlearning(folder, out):
    argv = ["unlearn", *of(folder), "--model", folder / "original", "--method", "gradient_ascent"]
    return [*argv, "--stop.rule", "steps", "--method.epochs", "1", "--out", out / "ga"]


@needs_mounts
def test_inputs_may_be_read_only(made, tmp_path):
    (tmp_path / "original").symlink_to(made / "original")
    evaluation = ["evaluate", *of(made), "--models", "original,ga", "--out"]
    ended = within(
        [read_only(made)],
        asr_unlearn(
            f"touch {made}/x && echo written",
            unlearning(made, tmp_path),
            [*evaluation, tmp_path / "results.json"],
            ["report", "--results", tmp_path / "results.json"],
        ),
    )
    assert "asr-unlearn:" not in ended.stderr
    assert re.findall("^[01]$", ended.stdout, re.MULTILINE) == ["0"] * 3
    assert "written" not in ended.stdout
    assert list((tmp_path / ".cache" / "features").rglob("*.features"))
    # The report has the transcripts of both models.
    assert "utterances.jsonl" not in (tmp_path / "report.md").read_text()


@needs_mounts
@pytest.mark.parametrize(("size", "named"), [("16k", ".cache/features/"), ("160k", "ga.")])
def test_a_full_disk_costs_no_more_than_room(size, named, made, tmp_path):
    """The same command ends well once there is room."""
    grown = f"mount -o remount,size=100m {tmp_path}"
    ended = within(
        [small_disk(tmp_path, size)],
        asr_unlearn(
            unlearning(made, tmp_path),
            f"echo then >&2; {grown}",
            unlearning(made, tmp_path),
            f"ls {tmp_path}/ga; find {tmp_path} -name '*.partial'",
        ),
    )
    first, _, then = ended.stderr.partition("then\n")
    (said,) = re.findall("^asr-unlearn: .*", first, re.MULTILINE)
    assert said.startswith(f"asr-unlearn: {tmp_path}/{named}")
    assert said.endswith(": No space left on device; free room; the same command goes on")
    assert "Traceback" not in first + then
    assert "asr-unlearn:" not in then
    assert "model.safetensors" in ended.stdout
    assert "partial" not in ended.stdout.partition("steps")[2]

"""Limits on memory and on the size of files: one line with the remedy, and nothing is lost.

Full disks are in tests/cli/test_full_disk.py, on real small file systems.
"""

import os
import resource
import sys
from functools import partial

import numpy as np
import pytest
import torch

from asr_unlearn.cli.main import main
from asr_unlearn.runtime import program
from asr_unlearn.runtime.io import write_json
from tests.support.kill_points import ended, forked

GIB = 2**30


def run_limited(kind, limit, work, tmp_path):
    """Run a program in a copy of this process with a limit; its status and what it printed."""
    shown = tmp_path / "stderr"

    def limited():
        resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
        sys.stderr = shown.open("w", buffering=1)
        os._exit(program.run_program("it", work))

    status = ended(forked(limited))
    return status, shown.read_text()


def in_use():
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: np.ones(GIB // 4),
        lambda: torch.ones(GIB // 2),
        lambda: bytearray(2 * GIB),
        lambda: torch.ones(GIB // 4).double(),
    ],
    ids=["numpy", "torch", "python", "conversion"],
)
def test_a_lack_of_memory_is_said_with_the_remedy(allocate, tmp_path):
    limit = in_use() + GIB
    status, shown = run_limited(
        resource.RLIMIT_AS, limit, lambda: allocate() is None or None, tmp_path
    )
    assert status == 1
    assert shown.startswith("it: out of memory; let less audio through the model at once")
    assert shown.count("\n") == 1


def test_a_limit_on_files_is_said_with_the_remedy_and_the_old_file_stays(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, "before")
    big = partial(write_json, path, "x" * 100_000)
    status, shown = run_limited(resource.RLIMIT_FSIZE, 50_000, big, tmp_path)
    assert status == 1
    assert shown == (
        f"it: {path}: File too large; raise the limit on the size of files (ulimit -f); "
        "the same command goes on\n"
    )
    assert path.read_text() == '"before"\n'
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.json", "stderr"]


def test_a_training_under_a_limit_goes_on_without_it(corpus, tiny_config, tmp_path):
    """A limit below the size of a checkpoint's files, and then none."""
    data = ["--manifest", corpus / "manifest.jsonl", "--split", corpus / "split.json"]
    argv = ["train", *data, "--model", tiny_config, "--out", tmp_path / "out" / "m"]
    argv = [str(word) for word in (*argv, "--finetune.epochs", "1")]
    status, shown = run_limited(resource.RLIMIT_FSIZE, 60_000, partial(main, argv), tmp_path)
    line = shown.rstrip("\n").rpartition("\n")[2].rpartition("\r")[2]
    assert status == 1
    assert f"it: {tmp_path}/out/" in line
    assert "File too large; raise the limit" in line
    assert "Traceback" not in shown
    assert ended(forked(partial(main, argv))) == 0
    assert (tmp_path / "out" / "m" / "model.safetensors").is_file()
    assert not list((tmp_path / "out").rglob("*.partial"))

"""Two launched processes evaluate as one does, each a share, and end together."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asr_unlearn.evaluation.results import read_results
from tests.support.attacked_models import FLAGS

LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def launch(folder):
    files = ["--manifest", str(folder / "manifest.jsonl"), "--split", str(folder / "split.json")]
    models = ["--models", "original,retrained,forgotten", "--out", str(folder / "both.json")]
    return subprocess.run(
        [sys.executable, *LAUNCHER, "-m", "asr_unlearn", "evaluate", *files, *models, *FLAGS],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


@pytest.mark.slow
def test_two_processes_evaluate_as_one(data, evaluated, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(data.cache, folder)
    for made in (".cache", "shadows", "informed", "unlearned_shadows"):
        shutil.rmtree(folder / made)
    done = launch(folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("wrote ") == 1
    found = {m["name"]: m for m in read_results(folder / "both.json").record["models"]}
    assert found.keys() == evaluated.keys()
    for name, entry in evaluated.items():
        for figure in ("wer", "loss", "quantisation", "relearning", "membership"):
            assert found[name].get(figure) == pytest.approx(entry.get(figure), rel=1e-4), figure
    for model in ("original", "retrained", "forgotten"):
        assert (folder / model).is_dir()


@pytest.mark.slow
def test_both_end_where_one_fails(data, evaluated, tmp_path):
    """The second transcribes the model whose weights are gone; the first waits for it."""
    folder = tmp_path / "moved"
    shutil.copytree(data.cache, folder)
    shutil.rmtree(folder / ".cache")
    (folder / "retrained" / "model.safetensors").write_bytes(b"none")
    done = launch(folder)
    assert done.returncode == 1
    assert "retrained" in done.stderr
    assert not (folder / "both.json").exists()

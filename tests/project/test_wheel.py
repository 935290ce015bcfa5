"""The wheel holds all that the package needs: it is installed by itself and unlearns."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd):
    """Run a command outside the checkout, without its folder on the path of modules."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["OMP_NUM_THREADS"] = "1"
    ended = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    arguments = ["build", "--target", "wheel", "--directory", folder]
    run(sys.executable, "-m", "hatchling", *arguments, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The programs' folder of an environment with the wheel, and the dependencies of this one.

    The dependencies' folder is a line of a .pth file; its own .pth files, which an editable
    installation of the checkout is, are not read.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    run(sys.executable, "-m", "pip", "--python", programs / "python",
        "install", "--no-deps", "--no-index", wheel, cwd=folder)  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return programs


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    tracked = [
        path.relative_to(ROOT).as_posix()
        for package in ("asr_unlearn", "data_prep")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    names = set(zipfile.ZipFile(wheel).namelist())
    assert set(tracked) <= names
    assert "asr_unlearn/py.typed" in names
    assert {Path(name).suffix for name in tracked} >= {".css", ".json", ".py", ".typed"}


@pytest.mark.slow
def test_the_installed_command_trains_and_unlearns(installed, corpus, tiny_config, tmp_path):
    where = "import asr_unlearn, data_prep; print(asr_unlearn.__file__, data_prep.__file__)"
    files = run(installed / "python", "-c", where, cwd=tmp_path).split()
    assert all(Path(file).is_relative_to(installed.parent) for file in files)
    command = installed / "asr-unlearn"
    assert "unlearn" in run(command, "--help", cwd=tmp_path)
    data = ["--manifest", corpus / "manifest.jsonl", "--split", corpus / "split.json"]
    train = ["train", *data, "--model", tiny_config, "--out", "original", "--finetune.epochs", "1"]
    run(command, *train, cwd=tmp_path)
    unlearn = ["unlearn", *data, "--model", "original", "--method", "gradient_ascent"]
    unlearn += ["--out", "forgotten", "--method.epochs", "1", "--stop.rule", "steps"]
    run(command, *unlearn, cwd=tmp_path)
    config = json.loads((tmp_path / "forgotten" / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "wav2vec2"
    assert (tmp_path / "forgotten" / "model.safetensors").is_file()

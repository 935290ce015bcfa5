"""What the package declares and imports, and how it behaves where a part is not installed."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from asr_unlearn.runtime.extras import EXTRAS
from asr_unlearn.runtime.torchaudio_check import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES, TOOLS = ("asr_unlearn", "data_prep"), ("benchmarks", "tests")
# Started as commands, imported by torch or named to jaxtyping, or read by mypy alone.
COMMANDS = {"pytest-xdist", "ruff", "mypy", "hatchling", "beartype", "onnxscript", "shtab"}
# Imported by sqlalchemy, and by pytest.
COMMANDS |= {"psycopg", "pytest-timeout"}
COMMANDS |= {"types-tqdm", "types-pyyaml", "types-jsonschema"}
# Extras that are no part of "all".
LARGE = ("ray", "bitsandbytes")
# Compared with in a benchmark, and installed for that alone, as its README says.
UNDECLARED = {"torchjd"}


def normalised(requirement):
    """The name of the distribution that a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def declared():
    """The package's requirements, those of its extras, and those of the dev group."""
    extras = PROJECT["project"]["optional-dependencies"]
    own = {normalised(line) for line in PROJECT["project"]["dependencies"]}
    optional = {normalised(line) for name in EXTRAS for line in extras[name]}
    return own, optional, {normalised(line) for line in PROJECT["dependency-groups"]["dev"]}


def imported(folders):
    """Modules imported anywhere in the folders, less Python's own and the checkout's."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.partition(".")[0])
    own = {path.stem for path in files} | {*PACKAGES, *TOOLS}
    return modules - own - sys.stdlib_module_names


def distributions_of(modules):
    known = packages_distributions()
    return {normalised(known.get(module, [module])[0]) for module in modules - UNDECLARED}


def test_what_the_package_imports_is_declared_and_what_is_declared_is_imported():
    own, optional, _ = declared()
    used = distributions_of(imported(PACKAGES))
    assert used - own - optional == set()
    assert (own | optional) - used == set()


def test_what_tests_and_benchmarks_import_is_declared():
    own, optional, dev = declared()
    used = distributions_of(imported(TOOLS))
    assert used - own - optional - dev == set()
    assert dev - used == COMMANDS


def test_extras_are_those_that_messages_name():
    extras = PROJECT["project"]["optional-dependencies"]
    assert extras.keys() == {*EXTRAS, "all"}
    assert extras["all"] == [f"asr_unlearn[{','.join(n for n in EXTRAS if n not in LARGE)}]"]
    for extra, module in EXTRAS.items():
        assert distributions_of({module}) == {normalised(extras[extra][0])}


def test_the_check_of_torchaudio_asks_for_what_is_declared():
    assert set(REQUIREMENTS) <= set(PROJECT["project"]["dependencies"])


def test_every_requirement_has_one_exact_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names))
    own, optional, dev = declared()
    docs = {normalised(line) for line in PROJECT["dependency-groups"]["docs"]}
    assert own | optional | dev | docs <= set(names)


def python(code_or_arguments, *, path=(), cwd=None):
    """The outcome of a fresh interpreter, given code or arguments."""
    given = code_or_arguments
    arguments = ["-c", given] if isinstance(given, str) else given
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


BLOCKED = "import sys; sys.modules[{module!r}] = None\n"


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (
            "tune",
            "import sys\n"
            "sys.argv[1:] = 'tune --manifest m --split s --model o --out t'.split()\n"
            "from asr_unlearn.__main__ import main\n"
            "main()",
            "asr-unlearn: the search for options needs optuna, which is not installed: "
            "pip install 'asr_unlearn[tune]'",
        ),
        (
            "quickstart",
            "import sys\n"
            "from asr_unlearn.runtime import program\n"
            "from data_prep.espeak import Espeak\n"
            "sys.exit(program.run_program('x', lambda: Espeak() and 0))",
            "x: synthetic speech needs espeakng_loader, which is not installed: "
            "pip install 'asr_unlearn[quickstart]'",
        ),
        (
            "speaker",
            "import sys\n"
            "from asr_unlearn.runtime import program\n"
            "from asr_unlearn.models import ecapa\n"
            "make = lambda: ecapa.EcapaForAudioClassification(ecapa.EcapaConfig())\n"
            "sys.exit(program.run_program('x', make))",
            "x: ECAPA-TDNN needs speechbrain, which is not installed: "
            "pip install 'asr_unlearn[speaker]'",
        ),
        (
            "sign",
            "from pathlib import Path\n"
            "import sys\n"
            "from asr_unlearn.runtime import program\n"
            "from asr_unlearn.evaluation.signature import signing_key\n"
            "sys.exit(program.run_program('x', lambda: signing_key(Path('key.pem'))))",
            "x: --sign needs cryptography, which is not installed: pip install 'asr_unlearn[sign]'",
        ),
        (
            "lora",
            "import sys\n"
            "from asr_unlearn.runtime import program\n"
            "from asr_unlearn.models.adapters import Lora, add_adapters\n"
            "sys.exit(program.run_program('x', lambda: add_adapters(None, Lora(r=2))))",
            "x: --lora needs peft, which is not installed: pip install 'asr_unlearn[lora]'",
        ),
        (
            "bitsandbytes",
            "import sys\n"
            "sys.argv[1:] = 'train --manifest m --split s --model o --out t'.split()\n"
            "sys.argv += ['--finetune.eight_bit', 'true']\n"
            "from asr_unlearn.__main__ import main\n"
            "main()",
            "asr-unlearn: finetune: eight_bit needs bitsandbytes, which is not installed: "
            "pip install 'asr_unlearn[bitsandbytes]'",
        ),
    ],
)
def test_a_missing_extra_is_named_where_it_is_needed(extra, code, said, tmp_path):
    ended = python(BLOCKED.format(module=EXTRAS[extra]) + code, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.strip()) == (1, said)


def test_without_extras_wav2vec2_and_whisper_train():
    ended = python(
        "".join(BLOCKED.format(module=module) for module in EXTRAS.values())
        + f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "import torch, asr_unlearn.cli.main, asr_unlearn.api, data_prep.synthetic\n"
        "from tests.support.tiny_model import tiny_options, tiny_whisper_options\n"
        "from transformers import (Wav2Vec2Config, Wav2Vec2ForCTC, WhisperConfig,\n"
        "                          WhisperForConditionalGeneration)\n"
        "Wav2Vec2ForCTC(Wav2Vec2Config(**tiny_options()))\n"
        "WhisperForConditionalGeneration(WhisperConfig(**tiny_whisper_options()))\n"
        "asr_unlearn.cli.main.main(['methods'])\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert "gradient_ascent" in ended.stdout


@pytest.fixture(scope="module")
def broken_torchaudio(tmp_path_factory):
    """A folder with a torchaudio whose library does not fit the installed torch."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "torchaudio").mkdir()
    (folder / "torchaudio" / "__init__.py").write_text(
        "raise OSError('Could not load this library: libtorchaudio.so')\n", encoding="utf-8"
    )
    information = folder / "torchaudio-9.8.7.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchaudio\nVersion: 9.8.7\n", encoding="utf-8"
    )
    return folder


def said_of_torchaudio():
    from importlib.metadata import version

    return (
        f"torchaudio 9.8.7 cannot be loaded beside torch {version('torch')} "
        "(Could not load this library: libtorchaudio.so); "
        "pip install 'torch>=2.11,<2.15,!=2.12.0,!=2.13.*' 'torchaudio==2.11.0'"
    )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["-m", "asr_unlearn", "methods"], "asr-unlearn"),
        (["-m", "asr_unlearn", "unlearn", "--help"], "asr-unlearn"),
        (["-c", "from asr_unlearn.__main__ import main; main()", "train"], "asr-unlearn"),
        (["-m", "asr_unlearn.cli.run_recipe", ROOT / "recipes" / "an4", "--help"], "an4"),
    ],
)
def test_a_torchaudio_that_does_not_fit_ends_a_program_with_one_line(
    arguments, name, broken_torchaudio
):
    ended = python(arguments, path=[broken_torchaudio])
    assert (ended.returncode, ended.stderr) == (1, f"{name}: {said_of_torchaudio()}\n")


@pytest.mark.parametrize("name", ["unlearn", "Stop"])
def test_a_torchaudio_that_does_not_fit_is_an_import_error_of_the_library(name, broken_torchaudio):
    ended = python(
        f"try:\n    from asr_unlearn import {name}\nexcept ImportError as error:\n    print(error)",
        path=[broken_torchaudio],
    )
    assert (ended.stdout, ended.stderr) == (f"{said_of_torchaudio()}\n", "")


def test_data_are_prepared_without_torch(broken_torchaudio):
    modules = [path.stem for path in (ROOT / "data_prep").glob("*.py") if path.stem[0] != "_"]
    blocked = "".join(BLOCKED.format(module=name) for name in ("torch", "transformers"))
    imports = "".join(f"import data_prep.{module}\n" for module in modules)
    ended = python(blocked + imports, path=[broken_torchaudio])
    assert (ended.returncode, ended.stderr) == (0, "")


def test_importing_the_package_changes_and_prints_nothing():
    code = (
        "import os, sys; before = dict(os.environ); import asr_unlearn; dir(asr_unlearn); "
        "assert dict(os.environ) == before; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == done.stderr == b""

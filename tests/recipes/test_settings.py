"""What `--methods` and `--set` change in a recipe, and what is wrong with them before it begins."""

import errno
import os
import re
from pathlib import Path

import pytest

from asr_unlearn.cli import run_recipe
from asr_unlearn.cli.plan import Plan
from asr_unlearn.cli.recipe import read_recipe

AN4 = Path(__file__).parents[2] / "recipes" / "an4"


def plan(out: Path, *flags: str) -> Plan:
    recipe = read_recipe(AN4 / "recipe.yaml")
    given = run_recipe.parser(recipe, AN4).parse_args(["--out", str(out), *flags])
    return run_recipe.make_plan(recipe, AN4, given)


def test_methods_may_be_listed_with_spaces(tmp_path: Path) -> None:
    assert list(plan(tmp_path, "--methods", "ssd, scrub").recipe.methods) == ["ssd", "scrub"]


def test_a_method_of_ones_own_has_its_options_by_name_or_by_path(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from asr_unlearn.methods.finetune import Finetune\n"
        "class Mine(Finetune):\n    name = 'mine'\n"
    )
    settings = ["mine.lr=0.5", f"{own}:Mine.epochs=2"]
    made = plan(tmp_path, "--methods", f"{own}:Mine", "--set", *settings)
    assert made.recipe.methods == {f"{own}:Mine": {"lr": "0.5", "epochs": "2"}}


def test_a_section_and_the_method_of_its_name_are_both_set(tmp_path: Path) -> None:
    settings = ["finetune.epochs=7", "methods.finetune.lr=0.5"]
    made = plan(tmp_path, "--methods", "finetune", "--set", *settings)
    assert made.recipe.finetune["epochs"] == "7"
    assert made.recipe.methods == {"finetune": {"lr": "0.5"}}


def test_a_short_retraining_stands_beside_the_whole_one(tmp_path: Path) -> None:
    settings = ["finetune.epochs=7", "finetune.lr=0.5"]
    made = plan(tmp_path, "--methods", "npo", "--set", *settings)
    assert "retrained_short" not in {command.name for command in made.commands()}
    made = plan(tmp_path, "--methods", "npo", "--set", *settings, "retrained_short.epochs=2")
    commands = {command.name: command for command in made.commands()}
    whole, short = (" ".join(commands[n].argv) for n in ("retrained", "retrained_short"))
    assert "--parts retain --" in short
    assert commands["retrained_short"].stage == 4
    assert short == whole.replace("epochs 7", "epochs 2").replace("/retrained", "/retrained_short")
    evaluated = commands["evaluate"].argv
    models = evaluated[evaluated.index("--models") + 1].split(",")
    assert models == ["original", "retrained", "retrained_short", "npo"]


def test_flags_of_unlearning_go_to_every_method(tmp_path: Path) -> None:
    settings = [
        "unlearn.compute.precision=bf16",
        "unlearn.lora.r=4",
        "finetune.compute.max_seconds=9",
    ]
    made = plan(tmp_path, "--methods", "orthograd,npo", "--set", *settings)
    commands = {command.name: " ".join(command.argv) for command in made.commands()}
    for method in ("orthograd", "npo"):
        assert "--compute.precision bf16 --lora.r 4" in commands[method]
    for model in ("original", "retrained"):
        assert "--compute.max_seconds 9" in commands[model]
        assert "--lora.r" not in commands[model]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("unlearn.lora.rank=2", "unrecognized arguments: --lora.rank 2"),
        ("unlearn.model=x", "unlearn.model: the recipe gives this flag itself"),
        ("retrained_short.parts=x", "retrained_short.parts: the recipe gives this flag itself"),
        ("retrained_short.epohcs=1", "unrecognized arguments: --epohcs 1"),
        ("orthograd_tau.powre=1", r"orthograd_tau has no option 'powre' \(did you mean 'power'"),
        ("finetune.epohcs=1", "unrecognized arguments: --epohcs 1"),
        ("stop.evry=2", "unrecognized arguments: --stop.evry 2"),
        ("stop.every=0", "stop.every must be 1 or more, not 0"),
        ("evaluate.relern=true", "unrecognized arguments: --relern true"),
        ("evaluate.beams=0", "beams: Not of type PositiveInt"),
    ],
)
def test_what_is_mistyped_is_said_before_anything_is_done(
    setting: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        run_recipe, "run_stage", lambda command, *_, **__: pytest.fail(command.name)
    )
    monkeypatch.setattr(
        "sys.argv", ["run_recipe", str(AN4), "--out", str(tmp_path), "--set", setting]
    )
    with pytest.raises(SystemExit) as ended:
        run_recipe.main()
    assert ended.value.code in (1, 2)
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "an4: /x/y: Read-only file system; give an --out that can be written to\n"),
        (["--debug"], "Traceback (most recent call last):\n"),
    ],
)
def test_what_the_system_refuses_is_said(
    flags: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/x/y")

    monkeypatch.setattr(run_recipe, "run_stage", refused)
    with pytest.raises(OSError, match="Read-only file system"):
        run_recipe.main([str(AN4), "--out", str(tmp_path), *flags])
    monkeypatch.setattr("sys.argv", ["run_recipe", *flags, str(AN4), "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        run_recipe.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out", "FILE"], "--out FILE is a file; give a folder"),
        (["--forget", "none.txt"], "--forget none.txt: there is no such file"),
        (["--shadows", "3"], "--shadows 3: give an even number"),
        (["--informed", "-1"], "informed: Not of type NonNegativeInt"),
        (["--stage", "5", "--stop-stage", "2"], "--stage 5 is behind --stop-stage 2"),
        (["--methods", "nosuch"], "unknown method 'nosuch'"),
        (["--seeds", "0,x"], "'0,x': give them with commas"),
        (["--stage", "9"], "argument --stage: invalid choice: 9"),
        (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
    ],
)
def test_bad_flags_are_said_before_anything_is_done(
    flags: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(
        run_recipe, "run_stage", lambda command, *_, **__: pytest.fail(command.name)
    )
    given = [str(file) if flag == "FILE" else flag for flag in flags]
    monkeypatch.setattr("sys.argv", ["run_recipe", str(AN4), "--out", str(tmp_path), *given])
    with pytest.raises(SystemExit) as ended:
        run_recipe.main()
    assert ended.value.code in (1, 2)
    said = capsys.readouterr().err
    assert message.replace("FILE", str(file)) in said
    assert said.splitlines()[-1].startswith(("an4: ", "recipes/an4/run.sh: ", "asr-unlearn "))

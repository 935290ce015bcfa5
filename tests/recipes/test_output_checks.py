"""What a recipe would leave is checked before it trains anything."""

from pathlib import Path

import pytest

from asr_unlearn.cli.output_checks import check_outputs
from asr_unlearn.cli.plan import RecipeStep
from asr_unlearn.cli.run_recipe import main
from asr_unlearn.runtime.errors import InputError

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart"
METHOD = """
from asr_unlearn.methods.gradient_ascent import GradientAscent


class Mine(GradientAscent):
    name = "mine"
"""


def test_folders_and_files_of_others_are_not_found_after_all_trainings(tmp_path):
    out = tmp_path / "out"
    for place, content in (("orthograd/notes.txt", "mine"), ("results.json", '{"mine": 1}')):
        file = out / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        with pytest.raises(InputError, match="that this command has not written"):
            main([str(QUICKSTART), "--out", str(out), "--methods", "orthograd"])
        assert not (out / "manifest.jsonl").exists()
        file.unlink()
        if file.parent != out:
            file.parent.rmdir()


def test_methods_of_one_name_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(METHOD)
    methods = ",".join(f"{tmp_path / name}.py:Mine" for name in ("a", "b"))
    with pytest.raises(InputError, match="would both be written to"):
        main([str(QUICKSTART), "--out", str(tmp_path / "out"), "--methods", methods])


def test_a_comma_in_the_folder_of_several_requests_is_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name}\n")
    requests = f"{tmp_path / 'one'},{tmp_path / 'two'}"
    argv = [str(QUICKSTART), "--out", str(tmp_path / "a,b"), "--requests", requests]
    with pytest.raises(InputError, match="give a path without a comma"):
        main(argv)


def test_what_the_steps_have_left_before_is_no_obstacle(tmp_path):
    model = tmp_path / "original"
    model.mkdir()
    (model / "run.json").write_text("{}")
    (tmp_path / "results.json").write_text('{"schema": 2, "models": []}')
    steps = [
        RecipeStep(3, "original", ["train"], [], model),
        RecipeStep(6, "evaluate", ["evaluate"], [], tmp_path / "results.json"),
        RecipeStep(7, "report", ["report"], [], tmp_path / "report.html"),
    ]
    check_outputs(steps)

"""Recipes that cannot be run: what is wrong is said in one line, before stage 1."""

import shutil
from pathlib import Path

import pytest

from asr_unlearn.cli import run_recipe
from asr_unlearn.cli.recipe import read_recipe

ROOT = Path(__file__).parents[2] / "recipes"

BARE = "corpus: it\nprepare: {module: data_prep.synthetic}\nmodel: model\nmethods: {orthograd: }\n"
GOOD = f"{BARE}split: {{draw: 1}}\n"

RECIPES = [
    ("", "holds no settings"),
    ("null", "holds no settings"),
    ("[]", "holds no settings"),
    ("7", "holds no settings"),
    ("corpus: [", "is no YAML"),
    ("\t", "is no YAML"),
    ("\x1b[2J", "is no YAML"),
    ("[" * 5000, "nested too deep"),
    (b"\xff\xfe", "is not UTF-8"),
    ("&a [*a]", "holds no settings"),
    ("corpus: it", "missing keys ['model', 'prepare']; every recipe needs them"),
    (GOOD + "corpus: two\n", "the key 'corpus' is given twice"),
    (GOOD + "1: 2\n", "the key 1 is no text; quote it"),
    (GOOD + "nosuch: 1\n", "unknown keys ['nosuch']; known are corpus, model, prepare"),
    (GOOD.replace(": it", ": " + "[it]"), "corpus must be a text, found ['it']"),
    (GOOD.replace(": it", ": " + "2024-99-99"), "is no YAML"),
    (GOOD.replace(": it", ": " + "2024-01-01"), "corpus must be a text"),
    (GOOD.replace("model: model", "model: 7"), "model must be a text, found 7"),
    (GOOD.replace("model: model", "model: "), "missing keys ['model']"),
    (GOOD.replace("model: model", "model: nosuch/model/here"), "there is no model folder nosuch"),
    (GOOD.replace("{module: data_prep.synthetic}", "x"), "prepare must hold key: value lines"),
    (GOOD.replace("data_prep.synthetic", "os"), "prepare.module must be a module of data_prep"),
    (GOOD.replace("data_prep.synthetic", "data_prep.nosuch"), "found 'data_prep.nosuch'"),
    (GOOD.replace("data_prep.synthetic", "[1]"), "found [1]"),
    (GOOD.replace("module:", "modul:"), "prepare.module must be a module of data_prep"),
    (GOOD.replace("synthetic}", "synthetic, out: x}"), "prepare.out: the recipe gives this flag"),
    (BARE + "split: []\nfinetune: 7\n", "split must hold key: value lines, found []"),
    (BARE + "split: [1]\n", "split must hold key: value lines, found [1]"),
    (BARE + "split: {seed: }\n", "split.seed must be a number, a text, true or false"),
    (BARE + "split: {seed: {a: 1}}\n", "split.seed must be a number, a text"),
    (BARE + "split: {seed: [[1]]}\n", "split.seed must be a number, a text"),
    (BARE + "split: {1: 2}\n", "split: the key 1 is no text; quote it"),
    (BARE + "split: {unseen: .nan}\n", "split.unseen must be finite, found nan"),
    (BARE + "split: {heldout: 2}\n", "the share of heldout must be from 0 to below 1, not 2.0"),
    (BARE + "split: {draw: 0}\n", "who is to be forgotten?"),
    (BARE + "split: {nosuch: 1}\n", "unrecognized arguments: --nosuch 1"),
    (BARE + "split: {manifest: x}\n", "split.manifest: the recipe gives this flag itself"),
    (BARE + "split: &a {seed: *a}\n", "split.seed must be a number, a text"),
    (GOOD + "stop: {every: 0}\n", "stop.every must be 1 or more, not 0"),
    (GOOD + "stop: {tolerance: 1}\n", "stop.tolerance must be from 0 to below 1"),
    (GOOD + "stop: {rule: never}\n", "stop.rule: expected one of"),
    (GOOD + "finetune: {epochs: -1}\n", "finetune: epochs must be above 0, not -1.0"),
    (GOOD + "finetune: {lr: .inf}\n", "finetune.lr must be finite, found inf"),
    (GOOD + f"finetune: {{lr: {'9' * 400}}}\n", "finetune.lr"),
    (GOOD + f"finetune: {{lr: {'9' * 5000}}}\n", "is no YAML"),
    (GOOD + "finetune: {speeds: [0]}\n", "speeds=[0.0]: name some, each between 0.5 and 2"),
    (GOOD + "finetune: {speeds: []}\n", "speeds=[]: name some"),
    (GOOD + "finetune: {crop_seconds: -1}\n", "--crop_seconds -1: give enough for the model"),
    (GOOD + "finetune: {token_noise: 2}\n", "token_noise=2.0 is not between 0 and 1"),
    (GOOD + "finetune: {auxiliary_ctc: -1}\n", "is not between 0 and 1"),
    (GOOD + "finetune: {window: 0}\n", "--window 0: give seconds above 0, auto or full"),
    (GOOD + "finetune: {task: nosuch}\n", "task: Does not validate"),
    (GOOD + "finetune: {out: elsewhere}\n", "finetune.out: the recipe gives this flag itself"),
    (GOOD + "finetune: {seed: 1}\n", "finetune.seed: the recipe gives this flag itself"),
    (GOOD + "evaluate: {workers: -1}\n", "workers: Not of type NonNegativeInt"),
    (GOOD + "evaluate: {shadows: 3}\n", "--shadows 3: give an even number"),
    (GOOD + "evaluate: {informed: -1}\n", "informed: Not of type NonNegativeInt"),
    (GOOD + "evaluate: {informed: 1.5}\n", "informed: "),
    (GOOD + "evaluate: {judge: nosuch}\n", "judge nosuch: it has no manifest.jsonl and split"),
    (GOOD + "evaluate: {window: -1}\n", "--window -1: give seconds above 0, auto or full"),
    (GOOD + "evaluate: {beams: 0}\n", "beams: Not of type PositiveInt"),
    (GOOD + "reference_model: {model: no/such/model}\n", "there is no model folder no/such/model"),
    (GOOD + "pretrained: {nosuch: {}}\n", "pretrained.nosuch: there is no such task"),
    (GOOD + "pretrained: {ctc: 7}\n", "pretrained.ctc must hold key: value lines, found 7"),
    (GOOD.replace("orthograd", "nosuch"), "unknown method 'nosuch'"),
    (GOOD.replace("orthograd: ", "orthograd: 7"), "methods.orthograd must hold key: value lines"),
    (GOOD.replace("orthograd: ", "orthograd: {alpha: }"), "methods.orthograd.alpha must be a numb"),
    (GOOD.replace("orthograd: ", "orthograd: {alpha: 2}"), "orthograd: alpha must be from 0 to 1"),
    (GOOD.replace("orthograd: ", "orthograd: {nosuch: 2}"), "orthograd has no option 'nosuch'"),
    (GOOD.replace("{orthograd: }", "[orthograd]"), "methods must hold key: value lines"),
    (GOOD + "presets: [a]\n", "presets must hold key: value lines, found ['a']"),
    (GOOD + "presets: {a: 1}\n", "presets.a must hold key: value lines, found 1"),
    (GOOD + "presets: {a: {nosuch: 1}}\n", "presets.a: unknown keys ['nosuch']"),
    (GOOD + "presets: {a: {split: [1]}}\n", "presets.a: split must hold key: value lines"),
    (GOOD + "presets: &a {b: {presets: *a}}\n", "presets.b: a preset has no presets of its own"),
]
FLAGS = [
    (["--shadows", "3"], 1, "--shadows 3: give an even number"),
    (["--shadows", "-2"], 1, "shadows: Not of type NonNegativeInt"),
    (["--shadows", "8" * 400], 1, "--shadows: a number of 400 digits is too large"),
    (["--set", f"finetune.lr={'9' * 400}"], 1, "--finetune.lr: a number of 400 digits is too lar"),
    (["--informed", "-1"], 1, "informed: Not of type NonNegativeInt"),
    (["--informed", "x"], 2, "argument --informed: invalid int value: 'x'"),
    (["--set", "evaluate.workers=-1"], 1, "workers: Not of type NonNegativeInt"),
    (["--set", "evaluate.judge=nosuch"], 1, "judge nosuch: it has no manifest.jsonl and split"),
    (["--set", "evaluate.window=.nan"], 1, "--window nan: give seconds above 0"),
    (["--set", "evaluate.out=x"], 1, "evaluate.out: the recipe gives this flag itself"),
    (["--set", "split.test=.nan"], 1, "the share of test must be from 0 to below 1"),
    (["--set", "finetune.crop_seconds=.nan"], 1, "--crop_seconds nan: give enough"),
    (["--set", "finetune.lr=.nan"], 1, "finetune: lr must be above 0, not nan"),
    (["--set", "orthograd.lr=1e999"], 1, "orthograd: lr must be finite, not inf"),
    (["--set", "nosuch"], 1, "--set nosuch: give section.key=value"),
    (["--model", "no/such/model"], 1, "there is no model folder no/such/model"),
    (["--forget", "."], 1, "--forget .: there is no such file"),
    (["--forget", "EMPTY"], 1, "the forget list names no speaker"),
    (["--forget", "TWICE"], 1, "the forget list names s0 more than once"),
    (["--seeds", "99999999999"], 1, "seed: Not of type Seed"),
    (["--seeds", "9" * 5000], 2, "--seeds"),
    (["--stage", "0"], 2, "argument --stage: invalid choice: 0"),
]


@pytest.fixture
def recipe(tmp_path, tiny_config, monkeypatch):
    """A folder for a recipe that nothing may begin in."""
    monkeypatch.setattr(run_recipe, "run_stage", lambda *_, **__: pytest.fail("a stage began"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "it"
    shutil.copytree(tiny_config, folder / "model")
    (folder / "recipe.yaml").write_text(GOOD)
    (tmp_path / "empty.txt").write_text("# nobody\n")
    (tmp_path / "twice.txt").write_text("s0\ns0\n")
    return folder


@pytest.mark.parametrize(("content", "message"), RECIPES)
def test_a_recipe(content, message, recipe, said):
    path = recipe / "recipe.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    status, line = said(run_recipe.main, recipe)
    assert status in (1, 2)
    assert line.startswith(("it: ", "asr-unlearn "))
    assert message in line
    assert not Path("out").exists()


@pytest.mark.parametrize(("flags", "status", "message"), FLAGS)
def test_flags(flags, status, message, recipe, said):
    files = {"EMPTY": "empty.txt", "TWICE": "twice.txt"}
    found, line = said(run_recipe.main, recipe, *[files.get(flag, flag) for flag in flags])
    assert message in line
    assert found in (status, 2)
    assert not Path("out").exists()


def test_the_recipe_that_these_are_made_from_is_good(recipe, monkeypatch):
    begun = []
    monkeypatch.setattr(run_recipe, "run_stage", lambda command, *_, **__: begun.append(command))
    run_recipe.main([str(recipe)])
    assert [command.stage for command in begun] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("name", sorted(p.parent.name for p in ROOT.glob("*/recipe.yaml")))
def test_our_own_recipes_and_their_presets_are_good(name):
    recipe = read_recipe(ROOT / name / "recipe.yaml")
    for preset in recipe.presets:
        recipe.with_preset(preset)
